"""How many jobs run at once, and who gets the next free slot: jobs already claimed before tickets that are not."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Slots:
    size: int
    busy: int = 0
    is_closed: bool = False
    _claimed: deque[asyncio.Future[None]] = field(default_factory=deque)
    _unclaimed: deque[asyncio.Future[None]] = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        """Claimed jobs without a slot."""
        return len(self._claimed)

    async def take(self, *, is_claimed: bool) -> bool:
        """Wait for a free slot; False if the worker stops starting things. A slot that was taken must be given back."""
        if self.is_closed:
            return False
        if self.busy < self.size:
            self.busy += 1
            return True
        line = self._claimed if is_claimed else self._unclaimed
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in line:
                line.remove(turn)
            elif turn.done() and not turn.cancelled() and not self.is_closed:
                self.give()  # it came just as the wait ended
            raise
        return not self.is_closed

    def give(self) -> None:
        self.busy -= 1
        while self.busy < self.size and (line := self._claimed or self._unclaimed):
            turn = line.popleft()
            if not turn.done():
                self.busy += 1
                turn.set_result(None)

    def open(self) -> None:
        """After `close`: slots are given again to those who ask from now on."""
        self.is_closed = False

    def close(self) -> None:
        """Nobody gets a slot any more; those who wait are told."""
        self.is_closed = True
        for turn in (*self._claimed, *self._unclaimed):
            if not turn.done():
                turn.set_result(None)
        self._claimed.clear()
        self._unclaimed.clear()
