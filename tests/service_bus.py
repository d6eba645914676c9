"""Stacks whose tickets travel through Service Bus, beside another stack's table and blobs.

Mostly through the loopback broker. With JOBQ_TEST_SERVICEBUS, a connection string of Microsoft's emulator or of a real
namespace, the suites of the ports and of the core run against that, too. Queues are made for each test, by
JOBQ_TEST_SERVICEBUS_ADMIN where administration has another address (the emulator: port 5300); "none" if it makes any
queue that is asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

from azure.servicebus.aio.management import ServiceBusAdministrationClient

from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_stack import ServiceBusStack
from jobq.core.ports import Stack
from tests.broker import Broker, QueueSpec

ANY_QUEUE = QueueSpec("any", lock=timedelta(minutes=1), max_delivery_count=1000)
"""As jobq wants its queues, but for the shorter lock."""

OUTSIDE = os.environ.get("JOBQ_TEST_SERVICEBUS", "")
OUTSIDE_LOCK = timedelta(seconds=5)
"""The shortest that Service Bus allows."""
_ADMIN = os.environ.get("JOBQ_TEST_SERVICEBUS_ADMIN", OUTSIDE)

KINDS = ["servicebus", *(["emulator"] if OUTSIDE else [])]
"""What parameters of tests are called."""


def stack_on(broker: Broker, index: Stack, clock: Callable[[], float] = time.time) -> ServiceBusStack:
    return ServiceBusStack(BusClient.from_connection_string("test", broker.connection_string, clock), index)


@asynccontextmanager
async def on_service_bus(index: Stack, clock: Callable[[], float] = time.time) -> AsyncIterator[ServiceBusStack]:
    """A broker of its own, whose queues are there when they are asked for. No rule of the protocol may be broken."""
    async with Broker(template=ANY_QUEUE, clock=clock) as broker:
        stack = stack_on(broker, index, clock)
        yield stack
        await stack.close()
    assert broker.violations == []


@asynccontextmanager
async def on_emulator(index: Stack, queues: Sequence[str]) -> AsyncIterator[ServiceBusStack]:
    """What JOBQ_TEST_SERVICEBUS names, with these queues for as long as the block lasts. It goes by its own clock."""
    stack = ServiceBusStack(BusClient.from_connection_string("test", OUTSIDE), index)
    async with _queues(queues if _ADMIN != "none" else ()):
        yield stack
        await stack.close()


@asynccontextmanager
async def _queues(names: Sequence[str]) -> AsyncIterator[None]:
    if not names:
        yield
        return
    async with ServiceBusAdministrationClient.from_connection_string(_ADMIN) as admin:
        for name in names:
            await admin.create_queue(
                name,
                lock_duration=OUTSIDE_LOCK,
                max_delivery_count=1000,
                dead_lettering_on_message_expiration=True,
                requires_duplicate_detection=True,
            )
        yield
        for name in names:
            await admin.delete_queue(name)


@contextmanager
def broker_process(options: str = "lock=1m,max-delivery=1000") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The loopback broker as a process of its own, and its connection string. It dies with this process."""
    command = [sys.executable, "-m", "tests.broker", "--any", options, "--until-eof"]
    pipe, root = subprocess.PIPE, Path(__file__).resolve().parent.parent
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process, process.stdout.readline().strip()
        process.communicate()
