"""What a realm had come to at moments of the past, at a constant size, and the points of a chart made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from jobq.model.job import Json

START = datetime(1970, 1, 1, tzinfo=UTC)

QUIET_AFTER = timedelta(minutes=10)
"""With no change for so long, and no worker, there is nothing to write down any more."""
NEAR_STEPS = 5
"""Readings at most so many steps apart are joined by a straight line; what lies further apart is a gap."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The first three only go up."""

    succeeded: int = 0
    failed: int = 0
    preempted: int = 0
    waiting: int = 0
    running: int = 0
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    at: datetime
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Point:
    """What came in a step that ended at `at`, and how it stood then."""

    at: datetime
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Ring:
    """The latest readings, the first one of each step."""

    name: str
    step: timedelta
    size: int

    def step_of(self, at: datetime) -> int:
        return (at - START) // self.step

    def with_one_more(self, readings: Sequence[Reading], new: Reading) -> list[Reading] | None:
        """None where it says nothing more: of the same step as the last one, or of a realm in which all is quiet."""
        if readings and self.step_of(readings[-1].at) >= self.step_of(new.at):
            return None
        recent = [old for old in readings if old.at >= readings[-1].at - QUIET_AFTER]
        if recent and not new.numbers.workers and all(old.numbers == new.numbers for old in recent):
            return None
        return [*readings, new][-self.size :]


MINUTES = Ring("1m", timedelta(minutes=1), 180)
TENS = Ring("10m", timedelta(minutes=10), 144)
HOURS = Ring("1h", timedelta(hours=1), 168)
QUARTERS = Ring("6h", timedelta(hours=6), 120)
RINGS = (MINUTES, TENS, HOURS, QUARTERS)


class Range(StrEnum):
    """How far back a chart goes."""

    HOUR = "1h"
    SIX_HOURS = "6h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


RANGES = {
    Range.HOUR: (MINUTES, timedelta(hours=1)),
    Range.SIX_HOURS: (TENS, timedelta(hours=6)),
    Range.DAY: (TENS, timedelta(hours=24)),
    Range.WEEK: (HOURS, timedelta(days=7)),
    Range.MONTH: (QUARTERS, timedelta(days=30)),
}
"""What each is made of, and how long it is."""


def points(readings: Sequence[Reading], ring: Ring, since: datetime) -> list[Point]:
    """One for each step that has ended by the last reading, those in gaps left out, oldest first.

    What came in a gap counts to the step that ends it, so nothing is lost.
    """
    made: list[Point] = []
    counted = readings[0].numbers if readings else Numbers()
    for before, after in pairwise(readings):
        for at in _ends(before, after, ring):
            now = _between(before, after, at) if _is_near(before, after, ring) else after.numbers
            made.append(Point(at, _since(counted, now)))
            counted = now
    return [point for point in made if point.at > since]


def to_list(reading: Reading) -> list[Json]:
    """For storage: whole seconds, then the numbers."""
    return [(reading.at - START) // timedelta(seconds=1), *astuple(reading.numbers)]


def of_list(stored: Sequence[int]) -> Reading:
    return Reading(START + timedelta(seconds=stored[0]), Numbers(*stored[1:]))


def _ends(before: Reading, after: Reading, ring: Ring) -> Iterator[datetime]:
    """Of the steps that ended between two readings; across a gap, of the last one only."""
    first, last = ring.step_of(before.at) + 1, ring.step_of(after.at)
    steps = range(first, last + 1) if _is_near(before, after, ring) else range(last, last + 1)
    return (START + step * ring.step for step in steps)


def _is_near(before: Reading, after: Reading, ring: Ring) -> bool:
    return after.at - before.at <= NEAR_STEPS * ring.step


def _between(before: Reading, after: Reading, at: datetime) -> Numbers:
    part = (at - before.at) / (after.at - before.at)
    old, new = before.numbers, after.numbers
    return Numbers(
        round(old.succeeded + (new.succeeded - old.succeeded) * part),
        round(old.failed + (new.failed - old.failed) * part),
        round(old.preempted + (new.preempted - old.preempted) * part),
        new.waiting,
        new.running,
        new.workers,
    )


def _since(old: Numbers, new: Numbers) -> Numbers:
    """Where a total went down, as of a realm that began anew under its name, nothing has come."""
    return Numbers(
        max(0, new.succeeded - old.succeeded),
        max(0, new.failed - old.failed),
        max(0, new.preempted - old.preempted),
        new.waiting,
        new.running,
        new.workers,
    )
