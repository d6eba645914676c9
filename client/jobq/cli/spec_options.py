"""The options of `push` and `add` that say what a job is: its tags, lanes, files, environment and limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.cli import params
from jobq.cli.output import Progress, how_many, say
from jobq.cli.params import option
from jobq.errors import BadInput
from jobq.model.job import DEFAULT_LIMITS, Limits, Spec
from jobq.model.names import DEFAULT_LANE, MAX_LANES, MAX_TAGS
from jobq.model.outputs import output_target
from jobq.model.wire import MAX_RETRIES, env_from_json
from jobq.shipping import Shipment, ship

if TYPE_CHECKING:
    from jobq.backend import Backend

F = TypeVar("F", bound=Callable[..., Any])

_COUNT = click.IntRange(0, MAX_RETRIES)

_OPTIONS = (
    option("-e", "--env", multiple=True, type=params.VARIABLE, help="A variable of the jobs' environment, NAME=VALUE."),
    option(
        "--bg-dirsync-to",
        type=params.TEXT,
        metavar="DST",
        help="Copy what a job writes to $JOBQ_OUTPUT_DIR to a path on the worker, or to az://container/prefix.",
    ),
    option(
        "--file", multiple=True, type=params.TEXT, help="A file, or a folder with all in it, for the jobs' directories."
    ),
    option("--tag", multiple=True, type=params.TAG, help="Attach a tag; may be repeated."),
    option("--tags", multiple=True, type=params.TAGS, help="Attach tags, separated by commas."),
    params.lane_option(multiple=True, help=f"Priority level, lowest first [{DEFAULT_LANE}]."),
    option("--num-retries", type=_COUNT, default=0, help="Further tries after the first failure."),
    option(
        "--backoff", type=params.BACKOFF, default="1s..5m", help="The wait before the first retry, and the longest."
    ),
    option("--retry-on", multiple=True, type=params.CAUSES, help="Retry only these failures, e.g. oom,exit:75."),
    option("--no-retry-on", multiple=True, type=params.CAUSES, help="No further try after these, e.g. exit:2,lost."),
    option("--timeout", type=params.POSITIVE, help="Stop an attempt after this long, e.g. 2h."),
    option("--crash-limit", type=_COUNT, default=DEFAULT_LIMITS.crashes, help="Lost workers that a job survives."),
    option("--max-preemptions", type=_COUNT, default=DEFAULT_LIMITS.preemptions, help="Preemptions a job survives."),
)


def spec_options(function: F) -> F:
    """What `spec_of` reads, and `file`."""
    for add in reversed(_OPTIONS):
        function = add(function)
    return function


def spec_of(given: dict[str, Any]) -> Spec:
    """What the options say of every job; its files are not stored yet."""
    tags = tuple(dict.fromkeys([*given["tag"], *(tag for tags in given["tags"] for tag in tags)]))
    lanes = tuple(dict.fromkeys(given["lane"])) or (DEFAULT_LANE,)
    if len(tags) > MAX_TAGS:
        raise BadInput(f"{len(tags)} tags are too many: a job has at most {MAX_TAGS}")
    if len(lanes) > MAX_LANES:
        raise BadInput(f"{len(lanes)} lanes are too many: a job is in at most {MAX_LANES}")
    timeout: timedelta | None = given["timeout"]
    only, never = (sum(given[name], ()) for name in ("retry_on", "no_retry_on"))
    if only and not given["num_retries"]:
        raise click.UsageError("--retry-on says which failures to retry; --num-retries N says how often")
    limits = Limits(
        given["num_retries"], given["crash_limit"], given["max_preemptions"], timeout, given["backoff"], only, never
    )
    outputs = output_target(given["bg_dirsync_to"]) if given["bg_dirsync_to"] is not None else ""
    return Spec(env=env_from_json(dict(given["env"])), tags=tags, lanes=lanes, limits=limits, outputs=outputs)


def store(backend: Backend, files: Shipment) -> None:
    """Store them before any job that names them, and say so."""
    if files.sources:
        count, progress = how_many(len(files.sources), "file"), Progress()
        progress.show(f"storing {count} ({files.size:,} bytes)")
        try:
            is_new = ship(backend, files)
        finally:
            progress.clear()
        say(f"Stored {count} ({files.size:,} bytes) for the jobs" if is_new else f"{count} for the jobs, stored before")
