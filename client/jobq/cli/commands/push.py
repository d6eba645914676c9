"""`jobq push`: jobs from options, from words after `--`, or from a stream, one a line."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from jobq.cli import params
from jobq.cli.params import option, output_option
from jobq.cli.pushing import DryRun, Pushing
from jobq.cli.session import Session
from jobq.cli.sources import Source, command_line
from jobq.cli.spec_options import spec_of, spec_options, store
from jobq.cli.waiting import wait_for_push
from jobq.model.job import IfExists
from jobq.model.names import new_batch
from jobq.shipping import pack

_WORDS = "jobq.words"

_HELP = """Put jobs in the queue.

Jobs are the commands given with -c, or the words after `--`, or else the lines of standard input: one job a line, a
shell command or a JSON object with `cmd`. A JSON object without `cmd` holds the arguments of a Python callable. Blank
lines and lines that begin with # are skipped.

A push that was interrupted is completed by the same push with `--batch NAME`: jobs that are there already are skipped.

\b
Examples:
  jobq push -c 'python train.py --lr 0.1' --tag exp7 --num-retries 2
  jobq push --tags exp7,lr < tasks.txt
  echo '{"cmd": "python fit.py", "env": {"SEED": "1"}, "timeout": "2h"}' | jobq push
  jobq push --file train.py --file data -- python train.py --lr 0.1
"""


class PushCommand(click.Command):
    """Words after `--` are one command; a word that is not after it is a mistake worth a hint."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        if "--" in args:
            cut = args.index("--")
            args, words = args[:cut], args[cut + 1 :]
            if not words:
                raise click.UsageError("there is no command after '--'", ctx)
        ctx.meta[_WORDS] = words
        return super().parse_args(ctx, args)


@click.command("push", cls=PushCommand, help=_HELP)
@click.argument("stray", nargs=-1, metavar="[-- WORD...]")
@option("-c", "--command", multiple=True, type=params.TEXT, help="A shell command; may be repeated.")
@option("--from", type=params.TEXT, default="-", help="File with a job per line; - is standard input.")
@spec_options
@option("--chunk", type=click.IntRange(1, 1000), default=1, help="Jobs that share a ticket; for many short ones.")
@option("--id", type=params.JOB_ID, help="The job's id; with exactly one command.")
@option("--batch", type=params.BATCH, help="Name of this push; a fresh one by default.")
@option("--if-exists", type=params.IF_EXISTS, default="skip", help="What to do with jobs that are there already.")
@option("--wait", is_flag=True, help="Wait until the jobs have ended, as `jobq wait` does.")
@option("--dry-run", is_flag=True, help="Check the input and print the jobs; push nothing.")
@output_option("table", "json", "jsonl", "ids")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> int:
    session: Session = ctx.obj
    batch = given["batch"] or new_batch()
    files = pack(given["file"])
    source = Source(
        commands=(*given["command"], *command_line(ctx.meta[_WORDS])),
        path=given["from"],
        job_id=given["id"],
        batch=batch,
        defaults=replace(spec_of(given), files=files.name),
    )
    _check(given, source)
    if given["dry_run"]:
        with source.windows() as windows:
            return DryRun(str(session.address()), batch, given["output"]).run(windows)
    with _stopped_by_sigterm(), session.backend() as backend, session.telemetry() as telemetry:
        with telemetry.push(session.address().realm, batch) as span, source.traced(span.traceparent) as windows:
            store(backend, files)
            if_exists = IfExists(given["if_exists"])
            pushing = Pushing(session, backend, batch, if_exists, given["chunk"], given["output"], span)
            code = pushing.run(windows)
        if given["wait"] and pushing.ids:
            code = code or wait_for_push(backend, pushing)
        return code


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: who stops a push is told how to complete it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(given: dict[str, Any], source: Source) -> None:
    """Raises UsageError for options that do not go together."""
    if stray := [word for word in given["stray"] if word != "-"]:
        raise click.UsageError(
            f"{stray[0]!r} is neither an option nor a command: a command goes after -c or --, "
            "a file with a job per line after --from or <"
        )
    if source.commands and source.path != "-":
        raise click.UsageError("jobs come from -c or -- or from --from, not from both")
    if source.job_id and len(source.commands) != 1:
        raise click.UsageError(f"--id goes with exactly one command, and {len(source.commands)} are given by -c or --")
