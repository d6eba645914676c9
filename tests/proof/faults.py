"""A stack that breaks at one port call: for every call of an operation, and each way in which a call can go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from jobq.core.ports import NO_DELAY, Backlog, BlobStore, Change, Delivery, Row, Stack, Table, TicketQueue
from jobq.errors import JobqError, LeaseLost, ReplyLost, Unreachable


class Killed(BaseException):
    """The actor is dead. Nothing of it catches this, and each later call of it raises it again."""


class Fault(Enum):
    REFUSED = "not applied, and the caller knows"
    REPLY_LOST = "applied, and the reply is lost"
    REQUEST_LOST = "not applied, and the caller cannot know"
    LATE = "the reply is lost, and the write is applied after the caller's next call"
    KILLED_BEFORE = "the actor dies before the call"
    KILLED_AFTER = "the actor dies after the call, which was applied"

    @property
    def kills(self) -> bool:
        return self in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


class FaultyStack:
    """The stack of one actor. Its port calls are numbered from 1; the call `at` goes wrong as `fault` says.

    Every call gives way to other coroutines first, so commits of one process gather as they do over a network.
    """

    def __init__(self, stack: Stack, fault: Fault = Fault.REFUSED, at: int = 0) -> None:
        self.address, self.tables = stack.address, stack.tables
        self._stack = stack
        self._fault = fault
        self._at = at
        self._name = ""
        self._late: Callable[[], Awaitable[Any]] | None = None
        self._is_dead = False
        self.calls: list[str] = []
        self.table: Table = _Table(self, stack.table)
        self.blobs: BlobStore = _Blobs(self, stack.blobs)

    def break_next(self, fault: Fault | None, *, skip: int = 0) -> None:
        """The next call goes wrong like that, or a later one; None: none does."""
        self._fault = fault or Fault.REFUSED
        self._at = len(self.calls) + 1 + skip if fault else 0

    def break_at(self, name: str, fault: Fault) -> None:
        """The next call of that name goes wrong."""
        self._fault, self._name = fault, name

    @property
    def has_failed(self) -> bool:
        return 0 < self._at <= len(self.calls)

    def queue(self, name: str) -> TicketQueue:
        return _Queue(self, self._stack.queue(name))

    async def close(self) -> None:
        await self._stack.close()

    async def read(self, name: str, call: Callable[[], Awaitable[Any]]) -> Any:
        return await self._call(name, call, Unreachable, may_be_late=False)

    async def write(self, name: str, call: Callable[[], Awaitable[Any]], *, error: type[JobqError] = ReplyLost) -> Any:
        return await self._call(name, call, error, may_be_late=error is ReplyLost)

    async def be_late(self) -> None:
        """What is still under way arrives."""
        late, self._late = self._late, None
        if late is not None:
            try:
                await late()
            except JobqError:
                return

    async def _call(
        self, name: str, call: Callable[[], Awaitable[Any]], error: type[JobqError], *, may_be_late: bool
    ) -> Any:
        if self._is_dead:
            raise Killed
        await asyncio.sleep(0)
        if self._is_dead:
            raise Killed
        self.calls.append(name)
        if len(self.calls) == self._at or name == self._name:
            self._name = ""
            await self._break(name, call, error, may_be_late)
        answer = await call()
        await self.be_late()
        return answer

    async def _break(
        self, name: str, call: Callable[[], Awaitable[Any]], error: type[JobqError], may_be_late: bool
    ) -> None:
        self._is_dead = self._fault.kills
        if self._fault in (Fault.REPLY_LOST, Fault.KILLED_AFTER):
            await call()
        if self._is_dead:
            raise Killed
        if self._fault is Fault.REFUSED:
            raise Unreachable(f"{name} was not sent")
        if self._fault is Fault.LATE and may_be_late:
            self._late = call
        raise error(f"the reply to {name} was lost")


class _Table:
    def __init__(self, faulty: FaultyStack, table: Table) -> None:
        self._faulty = faulty
        self._table = table

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        etags: list[str] = await self._faulty.write("table.commit", lambda: self._table.commit(partition, changes))
        return etags

    async def get(self, partition: str, key: str) -> Row | None:
        row: Row | None = await self._faulty.read("table.get", lambda: self._table.get(partition, key))
        return row

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        rows: list[Row] = await self._faulty.read(
            "table.scan", lambda: self._table.scan(partition, prefix, after=after, limit=limit, columns=columns)
        )
        return rows


class _Queue:
    def __init__(self, faulty: FaultyStack, queue: TicketQueue) -> None:
        self.limits = queue.limits
        self._faulty = faulty
        self._queue = queue

    async def open(self) -> None:
        await self._faulty.read("queue.open", self._queue.open)

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        await self._faulty.write("queue.send", lambda: self._queue.send(bodies, delay=delay))

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        deliveries: list[Delivery] = await self._faulty.read(
            "queue.receive", lambda: self._queue.receive(limit, lease=lease, wait=wait)
        )
        return deliveries

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        held: Delivery = await self._faulty.write(
            "queue.extend", lambda: self._queue.extend(delivery, lease=lease), error=LeaseLost
        )
        return held

    async def complete(self, delivery: Delivery) -> None:
        await self._faulty.write("queue.complete", lambda: self._queue.complete(delivery))

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        await self._faulty.write("queue.release", lambda: self._queue.release(delivery, body, delay=delay))

    async def look(self, limit: int) -> Backlog:
        backlog: Backlog = await self._faulty.read("queue.look", lambda: self._queue.look(limit))
        return backlog


class _Blobs:
    def __init__(self, faulty: FaultyStack, blobs: BlobStore) -> None:
        self._faulty = faulty
        self._blobs = blobs

    async def put(self, key: str, data: bytes) -> None:
        await self._faulty.write("blob.put", lambda: self._blobs.put(key, data))

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        data: bytes | None = await self._faulty.read("blob.get", lambda: self._blobs.get(key, start=start))
        return data

    async def put_file(self, key: str, file: Path) -> None:
        await self._faulty.write("blob.put", lambda: self._blobs.put_file(key, file))

    async def get_file(self, key: str, file: Path) -> bool:
        was_there: bool = await self._faulty.read("blob.get", lambda: self._blobs.get_file(key, file))
        return was_there

    async def append(self, key: str, data: bytes) -> None:
        await self._faulty.write("blob.append", lambda: self._blobs.append(key, data))

    async def delete(self, key: str) -> None:
        await self._faulty.write("blob.delete", lambda: self._blobs.delete(key))

    async def list(self, prefix: str) -> list[str]:
        keys: list[str] = await self._faulty.read("blob.list", lambda: self._blobs.list(prefix))
        return keys
