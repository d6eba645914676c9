"""Which failures are worth another try, and how long to wait before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from jobq.errors import BadInput
from jobq.model.durations import parse_duration

LONGEST = timedelta(days=7)
"""Queues hide a message no longer."""
MAX_CAUSES = 20

REASONS = ("exit", "signal", "timeout", "oom", "upload", "lost", "preempted")
"""Of those an attempt may end with, the ones that another try may follow."""

_CAUSE = re.compile(r"(exit|signal):([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Backoff:
    """The wait after the first failure, doubled after each further one, up to the longest."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=5)

    @classmethod
    def parse(cls, text: str) -> Backoff:
        """`30s..1h`, or `30s` where the longest stays what it is, or that. Raises BadInput."""
        least, dots, most = text.partition("..")
        first = parse_duration(least)
        longest = parse_duration(most) if dots else max(first, cls().longest)
        if not first <= longest <= LONGEST:
            raise BadInput(f"{text!r} is no backoff: write the first wait and the longest, up to 7 days, as in 30s..1h")
        return cls(first, longest)

    def __str__(self) -> str:
        return f"{_seconds(self.first)}..{_seconds(self.longest)}"

    def wait(self, failures: int, spread: float) -> timedelta:
        """After so many failures; between 75 % and 125 % of it, as `spread` from 0 to 1 says."""
        whole = min(self.longest, self.first * float(2 ** min(failures - 1, 20)))
        return min(self.longest, whole * (0.75 + 0.5 * spread))


DEFAULT_BACKOFF = Backoff()


def cause(text: str) -> str:
    """A reason, `exit:75` or `signal:9`, checked. Raises BadInput."""
    text = text.strip().lower()
    match = _CAUSE.fullmatch(text)
    if text in REASONS or (match and int(match[2]) <= 255):
        return text
    raise BadInput(f"{text!r} is no way to fail: write {', '.join(REASONS)}, or a code, as in exit:75 or signal:9")


def is_among(causes: tuple[str, ...], reason: str, exit_code: int | None) -> bool:
    """Whether an attempt that ended so is meant."""
    number = exit_code if reason != "signal" or exit_code is None else exit_code - 128
    return reason in causes or f"{reason}:{number}" in causes


def _seconds(duration: timedelta) -> str:
    """To the microsecond, and without an exponent, which would not be read back."""
    return f"{duration.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
