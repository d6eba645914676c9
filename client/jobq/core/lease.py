"""A held ticket: renewed, completed or released, one call at a time, always with the receipt that is good now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.core.ports import NO_DELAY, Delivery, TicketQueue
from jobq.errors import LeaseLost


@dataclass(slots=True)
class TicketLease:
    queue: TicketQueue
    delivery: Delivery
    length: timedelta
    """Asked for at each renewal; how long the ticket is held then, its delivery says."""
    received_at: float
    """On the monotonic clock, when the call returned that received or renewed it."""
    monotonic: Callable[[], float] = time.monotonic
    is_over: bool = False
    """Settled or lost: nothing more can be done with it."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def seconds_left(self) -> float:
        return self.received_at + self.delivery.lease.total_seconds() - self.monotonic()

    async def renew(self) -> None:
        """Raises LeaseLost if somebody else has the ticket or the reply was lost; Unreachable if nothing was sent."""
        async with self._turn:
            self._check()
            try:
                self.delivery = await self.queue.extend(self.delivery, lease=self.length)
            except LeaseLost:
                self.is_over = True
                raise
            self.received_at = self.monotonic()

    async def complete(self) -> None:
        """Remove the ticket. Raises LeaseLost, ReplyLost, Unreachable: then it comes back, and its rows drop it."""
        async with self._turn:
            self._check()
            self.is_over = True
            await self.queue.complete(self.delivery)

    async def release(self, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        """Put the ticket back with new content. Raises LeaseLost, ReplyLost, Unreachable."""
        async with self._turn:
            self._check()
            self.is_over = True
            await self.queue.release(self.delivery, body, delay=min(delay, self.queue.limits.max_delay))

    def _check(self) -> None:
        if self.is_over:
            raise LeaseLost("the ticket was settled or lost before")
