"""`jobq pull`."""

from __future__ import annotations

from datetime import timedelta

import click

from jobq.cli.params import LANE, option
from jobq.cli.session import Session
from jobq.cli.working import WorkerCommand, run, worker_options
from jobq.worker.options import WorkerOptions


@click.command("pull", cls=WorkerCommand)
@option("--max-lane", type=LANE, help="Leave lanes after this one alone.")
@worker_options
@click.pass_obj
def command(
    session: Session,
    max_lane: str | None,
    realms: tuple[str, ...],
    all_realms: bool,
    visibility_timeout: timedelta | None,
    grace: timedelta,
    proc: str,
    emulate_tty: bool,
    quiet: bool,
) -> int:
    """Run one job of the queue on this machine. Nothing there: exit code 0; the job failed: 5.

    \b
    Example:
      jobq mystorage/exp7 pull
    """
    options = WorkerOptions(
        realms=realms,
        all_realms=all_realms,
        lease=visibility_timeout,
        max_lane=max_lane,
        grace=grace,
        proc=proc,
        emulate_tty=emulate_tty,
        quiet=quiet,
        one=True,
    )
    return run(session, options)
