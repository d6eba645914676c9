"""A stack some of whose queues are missing, as on Service Bus, where they are not made on demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from jobq.core.ports import NO_DELAY, Delivery, Stack, TicketQueue
from jobq.errors import NotFound


class MissingStack:
    """`missing`: names of queues, as they are now; a test may change them."""

    def __init__(self, stack: Stack, *missing: str) -> None:
        self.missing = set(missing)
        self._stack = stack

    def queue(self, name: str) -> TicketQueue:
        return _Queue(self, name, self._stack.queue(name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)


class _Queue:
    def __init__(self, stack: MissingStack, name: str, queue: TicketQueue) -> None:
        self._stack = stack
        self._name = name
        self._queue = queue

    async def open(self) -> None:
        if self._name in self._stack.missing:
            raise NotFound(f"there is no queue {self._name}")

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        await self.open()
        await self._queue.send(bodies, delay=delay)

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        await self.open()
        return await self._queue.receive(limit, lease=lease, wait=wait)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)
