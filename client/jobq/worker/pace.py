"""How long an idle worker waits before it asks again: prompt while somebody is at work, cheap when nobody is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PROMPT_SECONDS = 60.0
"""This long after the last ticket a worker asks at its shortest interval."""

GROWTH = 1.25

POLLS_PER_LOOK = 30
"""New lanes are looked for after as much time as that many prompt questions take, or five idle ones."""


@dataclass(slots=True)
class Pace:
    shortest: float
    longest: float
    """Seconds between two questions to one lane."""
    monotonic: Callable[[], float] = time.monotonic
    random: random.Random = field(default_factory=random.Random)
    _active_at: float = field(init=False)
    _interval: float = field(init=False)

    def __post_init__(self) -> None:
        self.active()

    def active(self) -> None:
        """A ticket came: people are at work."""
        self._active_at = self.monotonic()
        self._interval = self.shortest

    def next_wait(self, lanes: int) -> float:
        """Seconds to wait before asking all lanes again, with jitter: a fleet must not ask in step."""
        if self.idle_seconds > PROMPT_SECONDS:
            self._interval = min(self.longest, self._interval * GROWTH)
        return self._interval * max(1, lanes) * self.random.uniform(0.8, 1.2)

    @property
    def look_after(self) -> float:
        """Seconds between two looks for new lanes."""
        return max(POLLS_PER_LOOK * self.shortest, 5 * self._interval)

    @property
    def idle_seconds(self) -> float:
        return self.monotonic() - self._active_at
