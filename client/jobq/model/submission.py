"""What people write into `jobq push`: one job per line, text or JSON, turned into specs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jobq.errors import BadInput
from jobq.model.job import NewJob, Spec
from jobq.model.names import MAX_TAGS, id_in_batch, job_id
from jobq.model.wire import loads_object, spec_from_json

_JSON = re.compile(r'\s*\{\s*["}]')
_MARKS = frozenset({"id"})


def is_skipped(line: str) -> bool:
    """Blank lines and comments are no jobs."""
    text = line.strip()
    return not text or text.startswith("#")


def parse_line(line: str, *, batch: str, position: int, defaults: Spec) -> NewJob:
    """The job of one line. Raises BadInput; the caller adds the line's number.

    `defaults` is what the push's options say: a line's own values win, its environment and tags are added to theirs.

    `{"` or `{}` begins JSON: with `cmd` a shell job whose other keys are checked, without it keyword arguments.
    A shell group, `{ …; }`, is a command.
    """
    line = line.rstrip("\r\n")
    if not _JSON.match(line):
        return new_command(line, batch=batch, position=position, defaults=defaults)
    return parse_object(loads_object(line), batch=batch, position=position, defaults=defaults)


def parse_object(data: Mapping[str, Any], *, batch: str, position: int, defaults: Spec) -> NewJob:
    """The job of a JSON object: with `cmd` a shell job, without it keyword arguments. Raises BadInput."""
    if "cmd" not in data:
        spec = replace(defaults, command=None, kwargs=data)
        return NewJob(id_in_batch(batch, position), spec)
    own = spec_from_json({key: value for key, value in data.items() if key != "id"}, also=_MARKS)
    name = job_id(data["id"]) if "id" in data else id_in_batch(batch, position)
    return NewJob(name, _merged(own, data, defaults))


def new_command(command: str, *, batch: str, position: int, defaults: Spec) -> NewJob:
    command = command.strip("\r\n")
    if not command.strip():
        raise BadInput("the command is empty")
    if "\0" in command:
        raise BadInput("the command has a NUL character")
    return NewJob(id_in_batch(batch, position), replace(defaults, command=command.strip(), kwargs=None))


def _merged(own: Spec, given: Mapping[str, object], defaults: Spec) -> Spec:
    limits = defaults.limits
    for key, name in _LIMIT_OF_KEY.items():
        if key in given:
            limits = replace(limits, **{name: getattr(own.limits, name)})
    tags = tuple(dict.fromkeys((*defaults.tags, *own.tags)))
    if len(tags) > MAX_TAGS:
        raise BadInput(f"{len(tags)} tags are too many: a job has at most {MAX_TAGS}")
    return replace(
        own,
        env={**defaults.env, **own.env},
        tags=tags,
        lanes=own.lanes if "lane" in given or "lanes" in given else defaults.lanes,
        limits=limits,
        outputs=own.outputs or defaults.outputs,
        traceparent=own.traceparent or defaults.traceparent,
        files=own.files or defaults.files,
    )


_LIMIT_OF_KEY = {
    "num_retries": "retries",
    "crash_limit": "crashes",
    "max_preemptions": "preemptions",
    "timeout": "timeout",
    "backoff": "backoff",
    "retry_on": "retry_on",
    "no_retry_on": "no_retry_on",
}
