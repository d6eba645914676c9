"""`jobq pull`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from jobq.cli.checkouts import check_options, checkout_options, print_checkouts
from jobq.cli.params import LANE, option, realm_option
from jobq.cli.working import WorkerCommand, run, worker_options
from jobq.worker.options import WorkerOptions


@click.command("pull", cls=WorkerCommand)
@checkout_options
@realm_option
@option("--max-lane", "--max-queue", "max_lane", type=LANE, help="Leave lanes after this one alone.")
@worker_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    max_lane: str | None,
    realms: tuple[str, ...],
    all_realms: bool,
    visibility_timeout: timedelta | None,
    grace: timedelta,
    proc: str,
    emulate_tty: bool,
    quiet: bool,
    **_printing: Any,
) -> int:
    """Run one job of the queue on this machine. Nothing there: exit code 0; the job failed: 5.

    With --print, jobs are leased to you instead: their files are written below the current directory, then their
    commands are printed for `eval`. With --ack each command also says how it ended; without it, that is up to you, by
    `jobq ack` or `nack` with what `--output json` has. What nobody answers for comes back when its lease ends
    (--visibility-timeout, else that of the lane, or of the realm). Timeouts, outputs and checkpoints of jobs are for
    workers: a shell heeds none of them.

    A job whose files cannot be written, and a call of a Python function, is given back and not printed.

    \b
    Examples:
      jobq mystorage/exp7 pull
      while work=$(jobq pull --print --ack) && [ -n "$work" ]; do eval "$work"; done
    """
    check_options(ctx)
    if ctx.params["print"]:
        print_checkouts(ctx)
        return 0
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
    return run(ctx.obj, options)
