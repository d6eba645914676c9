"""The same work with its tickets in a Storage queue and in Service Bus: messages per second, operations per job."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

from bench.options import Options
from bench.processes import Failed
from bench.report import Table, middle, number
from bench.stores import TAG, Kind, Store, fresh_store, trues
from jobq.core.ports import Stack, TicketQueue

KINDS: tuple[Kind, ...] = ("azurite", "servicebus")
BODY = b"x" * 500
LEASE = timedelta(minutes=1)
AT_ONCE = 32
CHUNKS = (1, 32)
OPERATIONS = ("sent", "scheduled", "delivered", "completed", "abandoned", "renewed", "peeked")
"""Of the broker's counts, those that Service Bus counts as operations or messages."""


@dataclass(slots=True)
class _Measured:
    sends: list[float] = field(default_factory=list)
    """Messages per second, a round each."""
    receives: list[float] = field(default_factory=list)
    pushes: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Jobs per second by chunk, a round each."""
    drains: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    operations: dict[int, dict[str, float]] = field(default_factory=dict)
    """Per job, by chunk and kind."""


def backends(options: Options) -> Table:
    messages, jobs, counted = options.count(2000, 200), options.count(500, 60), options.count(2000, 200)
    measured: dict[Kind, _Measured] = {kind: _Measured() for kind in KINDS}
    for _ in range(options.rounds):
        for kind in KINDS:
            _messages(kind, messages, measured[kind])
            for chunk in CHUNKS:
                _jobs(kind, chunk, jobs, measured[kind])
    for kind in KINDS:
        for chunk in CHUNKS:
            measured[kind].operations[chunk] = _operations(kind, chunk, counted)
    return Table(
        "backends",
        "The same work with its tickets in a Storage queue and in Service Bus; rows in Azurite, which is in memory",
        f"{options.rounds} interleaved rounds, fresh stores each, medians and range; {messages:,} messages of "
        f"{len(BODY)} bytes, {jobs:,} jobs `true` with one tag; operations once, of {counted:,} jobs",
        ["", "Storage (Azurite)", "Service Bus (loopback broker)"],
        [
            ["messages sent per second", *(middle(measured[kind].sends) for kind in KINDS)],
            ["messages received and completed per second", *(middle(measured[kind].receives) for kind in KINDS)],
            *_rows("jobs pushed per second", {kind: measured[kind].pushes for kind in KINDS}),
            *_rows("jobs drained per second, `-n 8`", {kind: measured[kind].drains for kind in KINDS}),
            *(_operation_row(chunk, measured) for chunk in CHUNKS),
        ],
        [
            "Messages: through the adapters in one process, 32 received at a time and completed together. Jobs: whole "
            "processes of the command line, start-up included. Operations: of tables and Storage queues by jobq's "
            "meter, of Service Bus by what the broker did, each message of a batch counted. The broker is a process in "
            "Python on the same two cores, so its own limit is near what is seen here.",
        ],
    )


def _rows(title: str, measured: dict[Kind, dict[int, list[float]]]) -> list[list[str]]:
    return [[f"{title}, `--chunk {chunk}`", *(middle(measured[kind][chunk]) for kind in KINDS)] for chunk in CHUNKS]


def _operation_row(chunk: int, measured: dict[Kind, _Measured]) -> list[str]:
    cells = []
    for kind in KINDS:
        found = measured[kind].operations[chunk]
        parts = ", ".join(f"{name} {number(count, 3)}" for name, count in sorted(found.items()) if count >= 0.0005)
        cells.append(f"{number(sum(found.values()), 2)}: {parts}")
    return [f"operations per job, `--chunk {chunk}`", *cells]


def _messages(kind: Kind, count: int, measured: _Measured) -> None:
    async def run(stack: Stack) -> None:
        queue = stack.queue("bench")
        await queue.send([BODY])
        start = time.perf_counter()
        await queue.send([BODY] * (count - 1))
        sent = time.perf_counter()
        received = await _drained(queue, count)
        measured.sends.append((count - 1) / (sent - start))
        measured.receives.append(received / (time.perf_counter() - sent))

    async def with_stack() -> None:
        stack = store.stack()
        try:
            await run(stack)
        finally:
            await stack.close()

    with fresh_store(kind) as store:
        asyncio.run(with_stack())


async def _drained(queue: TicketQueue, count: int) -> int:
    done = 0
    while done < count:
        deliveries = await queue.receive(AT_ONCE, lease=LEASE)
        if not deliveries:
            raise Failed(f"{done} of {count} messages came")
        await asyncio.gather(*(queue.complete(delivery) for delivery in deliveries))
        done += len(deliveries)
    return done


def _jobs(kind: Kind, chunk: int, jobs: int, measured: _Measured) -> None:
    with fresh_store(kind) as store:
        pushed = store.jobq("push", "--tag", TAG, "--chunk", str(chunk), lines=trues(store, jobs))
        drained = store.jobq("worker", "-n", "8")
        store.check(jobs)
    measured.pushes[chunk].append(jobs / pushed.wall_seconds)
    measured.drains[chunk].append(jobs / drained.wall_seconds)


def _operations(kind: Kind, chunk: int, jobs: int) -> dict[str, float]:
    with fresh_store(kind) as store:
        total = Counter(store.counted("push", "--tag", TAG, "--chunk", str(chunk), lines=trues(store, jobs)))
        total.update(store.counted("worker", "-n", "8"))
        store.check(jobs)
        counts = _of_the_bus(store, total) if store.bus else total
    return {name: count / jobs for name, count in counts.items()}


def _of_the_bus(store: Store, total: Counter[str]) -> Counter[str]:
    assert store.bus is not None
    done = store.bus.counts()
    tables = Counter({name: count for name, count in total.items() if not name.startswith("queue.")})
    return tables + Counter({f"bus.{name}": done.get(name, 0) for name in OPERATIONS})
