"""`jobq wait`."""

from __future__ import annotations

from datetime import timedelta

import click

from jobq.backend import Backend
from jobq.cli.params import DURATION, JOB_ID, TAG, option, output_option
from jobq.cli.session import Session
from jobq.cli.waiting import wait_and_say
from jobq.errors import NotFound
from jobq.waiting import Target


@click.command("wait")
@click.argument("names", metavar="[BATCH|ID]...", nargs=-1, type=JOB_ID)
@option("--tag", type=TAG, help="Wait for the jobs with this tag.")
@option("--timeout", type=DURATION, help="Give up after this long, with exit code 7.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, names: tuple[str, ...], tag: str | None, timeout: timedelta | None, output: str) -> int:
    """Wait until jobs have ended: those of a batch, some by id, those with a tag, or all of the realm.

    Exit code 5 says that one failed or was cancelled, 7 that it took too long.

    \b
    Example:
      jobq wait --tag exp7 --timeout 2h && echo done
    """
    if names and tag:
        raise click.UsageError("wait for a batch, for ids or for a tag, one of them")
    with session.backend() as backend:
        target = Target(tag=tag) if tag else _target(backend, names)
        return wait_and_say(backend, target, timeout, output)


def _target(backend: Backend, names: tuple[str, ...]) -> Target:
    """One name may be a batch's."""
    if len(names) == 1:
        try:
            backend.batch_status(names[0])
        except NotFound:
            return Target(ids=names)
        return Target(batch=names[0])
    return Target(ids=names)
