"""How many jobs are in each state under a label (a tag, a lane, a batch, the realm)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from jobq.model.job import JobState, Progress


@dataclass(frozen=True, slots=True)
class Counts:
    """Net counts; in a difference each may be negative. Queued and running follow from the rest."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.total + other.total,
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.cancelled + other.cancelled,
        )

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
