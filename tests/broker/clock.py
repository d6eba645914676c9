"""A clock that a test moves."""

from __future__ import annotations

import time
from datetime import timedelta


class MovedClock:
    """Seconds since the epoch. It starts at the real time, because clients compare lock ends with their own clock."""

    def __init__(self) -> None:
        self._now = time.time()

    def __call__(self) -> float:
        return self._now

    def move(self, by: timedelta) -> None:
        self._now += by.total_seconds()
