"""`jobq worker`."""

from __future__ import annotations

from datetime import timedelta

import click

from jobq.cli.params import DURATION, LABEL, LANE, POSITIVE, TEXT, option
from jobq.cli.session import Session
from jobq.cli.working import WorkerCommand, run, worker_options
from jobq.worker.options import OnPreempt, Until, WorkerOptions


@click.command("worker", cls=WorkerCommand)
@option(
    "-n", "--slots", "--num-workers", "slots", type=click.IntRange(1), default=1, help="Jobs that run at the same time."
)
@option("--time-limit", type=POSITIVE, help="Stop after this long; jobs go back to the queue and lose no attempt.")
@option(
    "--max-consecutive-failures", type=click.IntRange(0), default=0, help="End after more failures in a row; 0: never."
)
@option("--exit-when-empty", is_flag=True, help="End when nothing is queued, delayed retries included (the default).")
@option("--idle-timeout", type=DURATION, help="End after this long without a job.")
@option(
    "--leave-scale-set",
    is_flag=True,
    help="After --idle-timeout, have the scale set of this virtual machine delete the machine.",
)
@option(
    "--keep-instances",
    type=click.IntRange(0),
    default=0,
    help="With --leave-scale-set: stay while the set has no more machines than that.",
)
@option("--forever", is_flag=True, help="Never end by itself.")
@option("--max-lane", "--max-queue", "max_lane", type=LANE, help="Leave lanes after this one alone.")
@option("--label", multiple=True, type=LABEL, help="Say something of this worker, as gpu=a100; may be repeated.")
@option(
    "--on-preempt",
    type=click.Choice(["resume", "exit"]),
    default="resume",
    help="After this machine was told to go: wait, and go on if that is withdrawn, or end.",
)
@option(
    "--scheduled-events",
    type=TEXT,
    default="auto",
    metavar="URL|auto|off",
    help="Where the machine is told that it goes; `auto`: the metadata endpoint, on Azure.",
)
@worker_options
@click.pass_obj
def command(
    session: Session,
    slots: int,
    time_limit: timedelta | None,
    max_consecutive_failures: int,
    exit_when_empty: bool,
    idle_timeout: timedelta | None,
    leave_scale_set: bool,
    keep_instances: int,
    forever: bool,
    max_lane: str | None,
    label: tuple[tuple[str, str], ...],
    on_preempt: OnPreempt,
    scheduled_events: str,
    realms: tuple[str, ...],
    all_realms: bool,
    visibility_timeout: timedelta | None,
    grace: timedelta,
    proc: str,
    emulate_tty: bool,
    quiet: bool,
) -> int:
    """Run the queue's jobs on this machine.

    SIGTERM or Ctrl-C stops the jobs and puts them back without losing an attempt; a second Ctrl-C ends at once. SIGUSR1
    finishes what runs and takes nothing new.

    Variables of ai4s-jobq hold where nothing else is said: JOBQ_TIME_LIMIT, JOBQ_KILL_TIMEOUT (as --grace),
    JOBQ_DISABLE_SCHEDULED_EVENTS=1 (as --scheduled-events off), JOBQ_ENVIRONMENT_NAME (as --label environment=NAME).

    \b
    Example:
      jobq worker -n 8 --idle-timeout 10m
      jobq mystorage/urgent worker --realms exp7,exp8 --max-lane 3
    """
    if exit_when_empty + forever + (idle_timeout is not None) > 1:
        raise click.UsageError("--exit-when-empty, --idle-timeout and --forever exclude each other")
    if leave_scale_set and idle_timeout is None:
        raise click.UsageError("--leave-scale-set needs --idle-timeout: after so long without a job the machine leaves")
    until: Until = "forever" if forever else "empty" if idle_timeout is None else "idle"
    options = WorkerOptions(
        slots=slots,
        realms=realms,
        all_realms=all_realms,
        lease=visibility_timeout,
        time_limit=time_limit,
        max_consecutive_failures=max_consecutive_failures,
        until=until,
        idle_timeout=idle_timeout,
        leave_scale_set=leave_scale_set,
        keep_instances=keep_instances,
        max_lane=max_lane,
        labels=label,
        on_preempt=on_preempt,
        scheduled_events=scheduled_events,
        grace=grace,
        proc=proc,
        emulate_tty=emulate_tty,
        quiet=quiet,
    )
    return run(session, options)
