"""The stacks that every promise of the ports is checked on. A new backend is one more entry in `STACKS`.

Service Bus has queues only, so its table and blobs are another's; see `QUEUES`.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.adapters.local import LocalStack, MemoryStack
from jobq.core.ports import BlobStore, Delivery, Stack, Table, TicketQueue
from tests.broker.clock import MovedClock
from tests.service_bus import KINDS, on_emulator, on_service_bus

STACKS = ["memory", "local", "azurite"]
QUEUES = [*STACKS, *KINDS]
PATIENCE = timedelta(seconds=20)
MOMENT = timedelta(milliseconds=2)
"""Brokers tell times in whole milliseconds, and keep them finer."""


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture(params=STACKS)
async def stack(request: pytest.FixtureRequest, tmp_path: Path, clock: MovedClock) -> AsyncIterator[Stack]:
    if request.param == "servicebus":
        async with on_service_bus(MemoryStack(clock), clock) as stack:
            yield stack
        return
    if request.param == "emulator":
        name = request.getfixturevalue("name")
        async with on_emulator(MemoryStack(clock), [name, f"{name}-lane-1"]) as stack:
            yield stack
        return
    stack = _open(request, tmp_path, clock)
    yield stack
    await stack.close()


def _open(request: pytest.FixtureRequest, folder: Path, clock: MovedClock) -> Stack:
    if request.param == "memory":
        return MemoryStack(clock)
    if request.param == "local":
        return LocalStack(folder / "q", durable=False, clock=clock)
    connection_string = request.getfixturevalue("azurite")
    from jobq.adapters.azure import AzureStack  # only where Azurite is: the SDK is an extra

    return AzureStack.from_connection_string(connection_string)


@pytest.fixture
def name() -> str:
    """A partition, queue or folder that nobody else uses."""
    return f"t{uuid.uuid4().hex[:20]}"


@pytest.fixture
def table(stack: Stack) -> Table:
    return stack.table


@pytest.fixture
def queue(stack: Stack, name: str) -> TicketQueue:
    return stack.queue(name)


@pytest.fixture
def blobs(stack: Stack) -> BlobStore:
    return stack.blobs


Receive = Callable[..., Awaitable[list[Delivery]]]


@pytest.fixture
def receive_after(stack: Stack, clock: MovedClock) -> Receive:
    """`await receive_after(passed, queue, limit, lease=…)`: what comes once `passed` is over."""
    is_at_once = isinstance(stack, LocalStack | MemoryStack)

    async def receive(passed: timedelta, queue: TicketQueue, limit: int = 1, *, lease: timedelta) -> list[Delivery]:
        clock.move(passed + MOMENT)
        deadline = time.monotonic() + (0 if is_at_once else (passed + PATIENCE).total_seconds())
        while not (got := await queue.receive(limit, lease=lease)) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return got

    return receive
