"""How a worker is asked to behave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

OnPreempt = Literal["exit", "resume"]
Until = Literal["empty", "idle", "forever"]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    slots: int = 1
    """Jobs that run at the same time."""
    realms: tuple[str, ...] = ()
    """To work for beside the one addressed: of the same account, namespace or folder."""
    all_realms: bool = False
    """Work for all that there are, also for those that come later."""
    lease: timedelta | None = None
    """How long a job of a dead worker stays hidden; renewed at a third of it. None: as the job's lane is set."""
    time_limit: timedelta | None = None
    """After that, jobs go back to the queue as if the machine were preempted, and the worker ends."""
    max_consecutive_failures: int = 0
    """More failures in a row than this end the worker with an error; 0 is no limit."""
    until: Until = "empty"
    idle_timeout: timedelta | None = None
    leave_scale_set: bool = False
    """After `idle_timeout`, have the scale set delete this machine."""
    keep_instances: int = 0
    """Stay while the set has no more machines than that."""
    max_lane: str | None = None
    grace: timedelta = timedelta(seconds=120)
    """From SIGTERM to SIGKILL for a job that is stopped."""
    scheduled_events: str = "auto"
    """Where the machine is told of its end: the metadata endpoint's URL, `auto` for Azure's on Azure, or `off`."""
    on_preempt: OnPreempt = "resume"
    """What to do after that: end, or wait for the machine to go, and go on if that is withdrawn."""
    labels: tuple[tuple[str, str], ...] = ()
    """What the worker's operator says of it, for whoever looks at the fleet, or drains a part of it."""
    proc: str = ""
    """`module:function` for Python callables; empty for shell commands."""
    is_async: bool = False
    """Whether `proc` is an async function, whose calls share a process."""
    one: bool = False
    """Run one job, then end: `jobq pull`."""
    emulate_tty: bool = False
    """Jobs write to a pseudo terminal, so that programs do not hold their output back."""
    quiet: bool = False
    """Do not copy the jobs' output to the terminal."""
