"""Stacks whose tickets travel through Service Bus: its loopback broker, beside another stack's table and blobs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_stack import ServiceBusStack
from jobq.core.ports import Stack
from tests.broker import Broker, QueueSpec

ANY_QUEUE = QueueSpec("any", lock=timedelta(minutes=1), max_delivery_count=1000)
"""As jobq wants its queues, but for the shorter lock."""


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
