"""Where the messages of a queue lie: by number, those that are ready in order, and when to look at which of them."""

from __future__ import annotations

from datetime import timedelta
from heapq import heappop, heappush

from tests.broker.messages import Message


class Shelf:
    """Knows no rules. A message that is put back replaces the one of the same number."""

    def __init__(self) -> None:
        self.size_bytes = 0
        """The contents of all messages together."""
        self._messages: dict[int, Message] = {}
        self._ready: list[int] = []
        """A heap of the numbers of messages that nobody holds, and of some that are gone."""
        self._timers: list[tuple[float, int]] = []
        """A heap of points in time and numbers; looking once too often does no harm."""

    def __getitem__(self, number: int) -> Message:
        return self._messages[number]

    def get(self, number: int) -> Message | None:
        return self._messages.get(number)

    def all(self) -> list[Message]:
        """By sequence number."""
        return [self._messages[number] for number in sorted(self._messages)]

    def add(self, message: Message) -> None:
        self.size_bytes += len(message.posted.content)
        self._messages[message.sequence_number] = message

    def replace(self, message: Message) -> Message:
        self._messages[message.sequence_number] = message
        return message

    def remove(self, message: Message) -> None:
        self.size_bytes -= len(message.posted.content)
        del self._messages[message.sequence_number]

    def make_ready(self, message: Message) -> None:
        heappush(self._ready, message.sequence_number)

    @property
    def has_ready(self) -> bool:
        while self._ready and self._ready[0] not in self._messages:
            heappop(self._ready)
        return bool(self._ready)

    def take_ready(self) -> Message | None:
        """The first that was made ready and is still here; it is not ready any more."""
        return self._messages[heappop(self._ready)] if self.has_ready else None

    def look_again(self, message: Message, when: float) -> None:
        heappush(self._timers, (when, message.sequence_number))

    def due(self, now: float) -> tuple[float, Message] | None:
        """The first message to look at, and the time at which that was due; each time comes up once."""
        while self._timers and self._timers[0][0] <= now:
            when, number = heappop(self._timers)
            message = self._messages.get(number)
            if message is not None:
                return when, message
        return None


class RecentIds:
    """The message ids of the last while."""

    def __init__(self) -> None:
        self._accepted: dict[str, float] = {}
        """When each was accepted, oldest first."""

    def has(self, message_id: str, *, now: float, window: timedelta) -> bool:
        """Whether it was accepted within `window`; if not, it is now."""
        while self._accepted and now - next(iter(self._accepted.values())) >= window.total_seconds():
            del self._accepted[next(iter(self._accepted))]
        if message_id in self._accepted:
            return True
        self._accepted[message_id] = now
        return False
