"""Durations as people write them: `90`, `1.5h`, `2h30m`, `10m`."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from jobq.errors import BadInput

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_PART = rf"({_NUMBER})(ms|[smhdw])"


def parse_duration(text: str) -> timedelta:
    """A bare number is seconds. Raises BadInput."""
    text = text.strip().lower()
    try:
        if re.fullmatch(_NUMBER, text):
            return timedelta(seconds=float(text))
        if re.fullmatch(f"(?:{_PART})+", text):
            return timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in re.findall(_PART, text)))
    except OverflowError:
        pass
    raise BadInput(f"{text!r} is not a duration: write for example 90s, 10m, 1.5h, 2h30m or 1d")


def parse_moment(text: str, now: datetime) -> datetime:
    """A duration before `now`, or a time as in ISO 8601, in UTC where it names no zone. Raises BadInput."""
    with suppress(BadInput, OverflowError):
        return now - parse_duration(text)
    with suppress(ValueError, OverflowError):
        return from_iso(text.strip()).astimezone(UTC)
    raise BadInput(f"{text!r} is no time: write for example 2026-01-31T09:00Z, or 10m for ten minutes ago")


def show_duration(duration: timedelta) -> str:
    """The two largest units: `2h 5m`, `41s`, `0.3s`."""
    seconds = duration.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "m"), (whole % 60, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return " ".join(f"{n}{unit}" for n, unit in parts[first : first + 2] if n)


def utc_now() -> datetime:
    """To the millisecond, as it is stored: what was read back equals what was written."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def to_iso(moment: datetime) -> str:
    """UTC to the millisecond, sortable as text: `2026-11-21T22:05:01.250Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> datetime:
    """A time without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
