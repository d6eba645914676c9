"""How fast jobs end, and when the last one will: from how many had ended at a few moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOWS = (timedelta(minutes=3), timedelta(minutes=10), timedelta(hours=1))
"""Looked back over: their rates differ as the work does, and so give a range rather than a moment."""


@dataclass(frozen=True, slots=True)
class Sample:
    at: datetime
    ended: int
    """Jobs that had ended by then."""


def rate(samples: Sequence[Sample], window: timedelta) -> float | None:
    """Jobs ended per minute over the last `window` of the samples, oldest first; None where two moments are missing.

    The time before any had ended is left out, in which they waited for their turn. Where more was taken back (by
    retries) than ended, it is 0.
    """
    if not samples:
        return None
    last, begun = samples[-1], _begun(samples)
    first = next(sample for sample in samples[begun:] if sample.at >= last.at - window)
    minutes = (last.at - first.at) / timedelta(minutes=1)
    return max(0.0, (last.ended - first.ended) / minutes) if minutes > 0 else None


def eta(samples: Sequence[Sample], remaining: int) -> tuple[timedelta, timedelta] | None:
    """The soonest and the latest that what remains may have ended, at the rates of `WINDOWS`.

    None where nothing remains, or nothing has ended in any of them.
    """
    rates = [found for window in WINDOWS if (found := rate(samples, window))]
    if not rates or remaining <= 0:
        return None
    return timedelta(minutes=remaining / max(rates)), timedelta(minutes=remaining / min(rates))


def _begun(samples: Sequence[Sample]) -> int:
    """The place of the last sample before the first that counts any; 0 where none does."""
    return next((max(0, place - 1) for place, sample in enumerate(samples) if sample.ended), 0)
