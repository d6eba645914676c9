"""How many jobs are in each state under a label (a tag, a lane, a batch, the realm)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from jobq.model.job import Job, JobState, Progress, Reason

RUN_BOUNDS = (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400)
"""Seconds: the upper ends by which run times are counted; what took longer than the last one comes after it."""


@dataclass(frozen=True, slots=True)
class Ever:
    """What has happened under a label, whatever became of the jobs since then: these numbers only go up."""

    failed: int = 0
    """Jobs that came to their end as failed; one that is retried and fails again, twice."""
    preempted: int = 0
    """Attempts that ended so."""
    lost: int = 0
    runs: tuple[int, ...] = ()
    """Attempts that succeeded, by RUN_BOUNDS, without the zeros at the end."""

    def __add__(self, other: Ever) -> Ever:
        if other is NEVER or self is NEVER:  # mostly
            return self if other is NEVER else other
        runs = tuple(a + b for a, b in zip_longest(self.runs, other.runs, fillvalue=0))
        return Ever(self.failed + other.failed, self.preempted + other.preempted, self.lost + other.lost, runs)

    @property
    def succeeded(self) -> int:
        return sum(self.runs)


NEVER = Ever()


@dataclass(frozen=True, slots=True)
class Counts:
    """Net counts; in a difference each may be negative. Queued and running follow from the rest."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    ever: Ever = NEVER

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.total + other.total,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
            self.ever + other.ever,
        )

    @property
    def net(self) -> Counts:
        """Without what has ever been. Nothing is left under a label whose net is `Counts()`."""
        return replace(self, ever=NEVER)

    @property
    def ended(self) -> int:
        return self.succeeded + self.failed + self.cancelled

    @property
    def remaining(self) -> int:
        return self.total - self.ended


_COUNT_OF_STATE = {
    None: Counts(),
    JobState.QUEUED: Counts(total=1),
    JobState.RUNNING: Counts(total=1),
    JobState.SUCCEEDED: Counts(total=1, succeeded=1),
    JobState.FAILED: Counts(total=1, failed=1),
    JobState.CANCELLED: Counts(total=1, cancelled=1),
}


def counts_moved(before: JobState | None, after: JobState | None) -> Counts:
    """What a transition adds to each of the job's labels; None is a row that does not exist."""
    old, new = _COUNT_OF_STATE[before], _COUNT_OF_STATE[after]
    return Counts(
        new.total - old.total, new.succeeded - old.succeeded, new.failed - old.failed, new.cancelled - old.cancelled
    )


def happened(before: Job | None, after: Job | None) -> Ever:
    """What a transition adds to `Ever` under the job's labels. Of a job whose row goes, nothing."""
    if before is None or after is None:
        return Ever(failed=1) if after is not None and after.state is JobState.FAILED else NEVER
    has_moved = before.state is not after.state
    return Ever(
        failed=int(has_moved and after.state is JobState.FAILED),
        preempted=max(0, after.tries.get(Reason.PREEMPTED, 0) - before.tries.get(Reason.PREEMPTED, 0)),
        lost=max(0, after.tries.get(Reason.LOST, 0) - before.tries.get(Reason.LOST, 0)),
        runs=_run_of(after.seconds) if has_moved and after.state is JobState.SUCCEEDED else (),
    )


def _run_of(seconds: float) -> tuple[int, ...]:
    return (0,) * bisect_left(RUN_BOUNDS, seconds) + (1,)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts as people see them: every job is in one of the five states."""

    counts: Counts
    running: int

    @property
    def queued(self) -> int:
        return max(0, self.counts.remaining - self.running)

    def as_json(self) -> dict[str, int]:
        return {
            "total": self.counts.total,
            "queued": self.queued,
            "running": min(self.running, max(0, self.counts.remaining)),
            "succeeded": self.counts.succeeded,
            "failed": self.counts.failed,
            "cancelled": self.counts.cancelled,
        }


@dataclass(frozen=True, slots=True)
class Gpu:
    """One of a machine's, and how busy it is; None where it does not say."""

    name: str
    use: float | None
    """The part of the time in which it was at work."""
    memory: float | None
    """The part of its memory that is in use."""


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker's row, read."""

    id: str
    host: str
    slots: int
    labels: Mapping[str, str]
    machine: Mapping[str, float]
    """`cpu`, `memory`: the parts that are in use."""
    gpus: tuple[Gpu, ...]
    image: str
    """Of the container it runs in, as whoever started it says; else ""."""
    is_draining: bool
    running: tuple[str, ...]
    """Ids of the jobs it runs."""
    progress: Mapping[str, Progress]
    """How far they are, of those that tell."""
    beat_at: datetime
    expires_at: datetime
    """Until then its jobs count as running."""
