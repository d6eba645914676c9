"""Counts storage transactions: what an account is billed for, and what the benchmarks report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from jobq.core.ports import NO_DELAY, Backlog, BlobStore, Change, Delivery, Row, Stack, Table, TicketQueue

ROWS_PER_SCAN = 1000
"""Rows in one answer of Azure Tables; a longer scan is several transactions."""


class Meter(Counter[str]):
    """Transactions by port and method (`table.commit`, `queue.send`, …), failed ones too; `total()` is their sum."""


def metered(stack: Stack, meter: Meter) -> Stack:
    """The same stack, with each call counted in `meter`."""
    return _MeteredStack(stack, meter)


class _MeteredStack:
    def __init__(self, stack: Stack, meter: Meter) -> None:
        self.address, self.tables = stack.address, stack.tables
        self.table: Table = _MeteredTable(stack.table, meter)
        self.blobs: BlobStore = _MeteredBlobs(stack.blobs, meter)
        self._stack = stack
        self._meter = meter

    def queue(self, name: str) -> TicketQueue:
        return _MeteredQueue(self._stack.queue(name), self._meter)

    async def close(self) -> None:
        await self._stack.close()


class _MeteredTable:
    def __init__(self, table: Table, meter: Meter) -> None:
        self._table = table
        self._meter = meter

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        self._meter["table.commit"] += 1
        return await self._table.commit(partition, changes)

    async def get(self, partition: str, key: str) -> Row | None:
        self._meter["table.get"] += 1
        return await self._table.get(partition, key)

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        self._meter["table.scan"] += 1
        rows = await self._table.scan(partition, prefix, after=after, limit=limit, columns=columns)
        self._meter["table.scan"] += max(0, math.ceil(len(rows) / ROWS_PER_SCAN) - 1)
        return rows


class _MeteredQueue:
    def __init__(self, queue: TicketQueue, meter: Meter) -> None:
        self.limits = queue.limits
        self._queue = queue
        self._meter = meter

    async def open(self) -> None:
        await self._queue.open()

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        self._meter["queue.send"] += math.ceil(len(bodies) / self.limits.max_send)
        await self._queue.send(bodies, delay=delay)

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        self._meter["queue.receive"] += 1
        return await self._queue.receive(limit, lease=lease, wait=wait)

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        self._meter["queue.extend"] += 1
        return await self._queue.extend(delivery, lease=lease)

    async def complete(self, delivery: Delivery) -> None:
        self._meter["queue.complete"] += 1
        await self._queue.complete(delivery)

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        self._meter["queue.release"] += 1
        await self._queue.release(delivery, body, delay=delay)

    async def look(self, limit: int) -> Backlog:
        self._meter["queue.look"] += 2 if limit else 1
        return await self._queue.look(limit)


class _MeteredBlobs:
    def __init__(self, blobs: BlobStore, meter: Meter) -> None:
        self._blobs = blobs
        self._meter = meter

    async def put(self, key: str, data: bytes) -> None:
        self._meter["blob.put"] += 1
        await self._blobs.put(key, data)

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        self._meter["blob.get"] += 1
        return await self._blobs.get(key, start=start)

    async def put_file(self, key: str, file: Path) -> None:
        self._meter["blob.put"] += 1
        await self._blobs.put_file(key, file)

    async def get_file(self, key: str, file: Path) -> bool:
        self._meter["blob.get"] += 1
        return await self._blobs.get_file(key, file)

    async def append(self, key: str, data: bytes) -> None:
        self._meter["blob.append"] += 1
        await self._blobs.append(key, data)

    async def delete(self, key: str) -> None:
        self._meter["blob.delete"] += 1
        await self._blobs.delete(key)

    async def list(self, prefix: str) -> list[str]:
        self._meter["blob.list"] += 1
        return await self._blobs.list(prefix)
