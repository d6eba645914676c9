"""What the broker's own tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from azure.servicebus.aio import ServiceBusClient

from tests.broker.broker import Broker
from tests.broker.clock import MovedClock
from tests.broker.messages import QueueSpec
from tests.broker.sdk import Ends, all_ends, clean_broker, connected, make_empty
from tests.broker.store import Queue


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def spec() -> QueueSpec:
    """That of the queue `q`. Parametrize it for another."""
    return QueueSpec("q")


@pytest.fixture
async def broker(spec: QueueSpec) -> AsyncIterator[Broker]:
    async with clean_broker(spec) as broker:
        yield broker


@pytest.fixture
def queue(broker: Broker) -> Queue:
    return broker.queue("q")


@pytest.fixture
async def client(broker: Broker) -> AsyncIterator[ServiceBusClient]:
    async with connected(broker) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_ends() -> AsyncIterator[Ends]:
    """Opening and closing takes the SDK a second, so the tests of a file can share what they use."""
    async with all_ends() as ends:
        yield ends


@pytest.fixture
def ends(shared_ends: Ends) -> Iterator[Ends]:
    """For tests that run in the loop of their file, and leave no credit behind."""
    yield shared_ends
    make_empty(shared_ends.queue)
