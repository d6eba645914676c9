"""Points in time as people read them: how long ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobq.model.durations import from_iso, show_duration


def age(moment: str | None, *, now: datetime | None = None) -> str | None:
    """`4m 10s ago`, `in 3s`, or `now`; clocks of machines differ a little."""
    if not moment:
        return None
    passed = (now or datetime.now(UTC)) - from_iso(moment)
    if abs(passed) < timedelta(seconds=1):
        return "now"
    whole = timedelta(seconds=round(abs(passed).total_seconds()))
    text = show_duration(whole) if whole >= timedelta(seconds=10) else f"{whole.seconds}s"
    return f"{text} ago" if passed > timedelta(0) else f"in {text}"
