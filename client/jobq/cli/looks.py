"""What one process has seen of counts, look after look: how fast jobs end there, and when the last one will have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobq.cli.tallies import Label, ended, remaining, tallies
from jobq.model.durations import show_duration
from jobq.model.pace import WINDOWS, Sample, eta, rate

if TYPE_CHECKING:
    from jobq.core.documents import Document

SPACING = timedelta(seconds=10)
"""Samples closer to each other than that take each other's place, so that an hour of looks needs little memory."""


@dataclass(frozen=True, slots=True)
class Pace:
    per_minute: float | None = None
    """None until two moments were seen."""
    eta: tuple[timedelta, timedelta] | None = None

    def words(self) -> list[str]:
        """`38 per minute`, `11m-14m left`; as far as they are known."""
        speed = [] if self.per_minute is None else [f"{per_minute(self.per_minute)} per minute"]
        return [*speed, f"{span(self.eta)} left"] if self.eta else speed


@dataclass(frozen=True, slots=True)
class Look:
    """The counts of one moment, and the paces of all labels with jobs that had not ended at this look or another."""

    document: Document
    at: datetime
    paces: Mapping[Label, Pace]


@dataclass(slots=True)
class Looks:
    """Labels in which nothing ever remained, while somebody looked, cost nothing."""

    _samples: dict[Label, list[Sample]] = field(default_factory=dict)

    def take(self, document: Document, at: datetime) -> Look:
        """A document with counts, or a job's."""
        paces: dict[Label, Pace] = {}
        for label, counts in tallies(document):
            if label in self._samples or remaining(counts):
                samples = self._samples.setdefault(label, [])
                _add(samples, Sample(at, ended(counts)))
                paces[label] = _pace(samples, counts)
        return Look(document, at, paces)


def _pace(samples: list[Sample], counts: Document) -> Pace:
    """What the realm itself has kept of it, if anything, until there was time to see how it goes."""
    if (told := counts.get("per_minute")) and samples[-1].at - samples[0].at < WINDOWS[0]:
        bounds = [timedelta(seconds=seconds) for seconds in counts["eta_seconds"] or ()]
        return Pace(told, (bounds[0], bounds[-1]) if bounds else None)
    return Pace(rate(samples, WINDOWS[0]), eta(samples, remaining(counts)))


def _add(samples: list[Sample], sample: Sample) -> None:
    if len(samples) > 1 and samples[-1].at - samples[-2].at < SPACING:
        samples.pop()
    samples.append(sample)
    while samples[0].at < sample.at - WINDOWS[-1]:
        samples.pop(0)


def per_minute(number: float) -> str:
    if 0 < number < 0.1:
        return "<0.1"
    return f"{number:,.0f}" if number >= 10 or number == 0 else f"{number:.1f}"


def span(times: tuple[timedelta, timedelta]) -> str:
    """`11m-14m`, or `14m` where both are about the same."""
    soonest, latest = map(_about, times)
    return latest if soonest == latest else f"{soonest}-{latest}"


def _about(duration: timedelta) -> str:
    """Rounded up to ten seconds, a minute or an hour: more would promise too much."""
    steps = ((timedelta(minutes=2), 10), (timedelta(days=1), 60), (timedelta.max, 3600))
    step = next(seconds for below, seconds in steps if duration < below)
    return show_duration(timedelta(seconds=max(1, math.ceil(duration.total_seconds() / step)) * step))
