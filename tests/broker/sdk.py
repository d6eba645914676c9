"""The real SDK against the broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusReceiveMode, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from tests.broker.broker import Broker
from tests.broker.messages import QueueSpec, State
from tests.broker.store import Clock, Queue

NO_WAIT_SECONDS = 0.3
"""Long enough for the SDK to be given what is there."""
WAIT_SECONDS = 20.0
"""Generous: what comes ends the wait."""


@asynccontextmanager
async def clean_broker(
    *specs: QueueSpec, template: QueueSpec | None = None, clock: Clock = time.time, accepts_any_token: bool = True
) -> AsyncIterator[Broker]:
    """At the end nobody has broken the protocol, and all faults that were planned have happened."""
    async with Broker(*specs, template=template, clock=clock, accepts_any_token=accepts_any_token) as broker:
        yield broker
    assert broker.violations == []
    assert broker.faults_left == 0


@asynccontextmanager
async def connected(
    broker: Broker, *, retry_total: int = 2, try_timeout: float = 20
) -> AsyncIterator[ServiceBusClient]:
    """A client that does not try for long."""
    async with ServiceBusClient.from_connection_string(
        broker.connection_string, retry_total=retry_total, retry_backoff_factor=0.1, try_timeout=try_timeout
    ) as client:
        yield client


@asynccontextmanager
async def opened(*handlers: ServiceBusSender | ServiceBusReceiver) -> AsyncIterator[None]:
    """All at once: opening or closing one takes the SDK up to a second."""
    await asyncio.gather(*(handler.__aenter__() for handler in handlers))
    try:
        yield
    finally:
        await asyncio.gather(*(handler.close() for handler in handlers))


@asynccontextmanager
async def both_ends(
    client: ServiceBusClient, queue: str = "q", *, settle_seconds: float = 60
) -> AsyncIterator[tuple[ServiceBusSender, ServiceBusReceiver]]:
    """A sender and a receiver, which waits that long for the answer to a settlement."""
    # It is the receiver that must be told: one that is made by a client which was told `timeout` waits for a minute.
    sender, receiver = client.get_queue_sender(queue), client.get_queue_receiver(queue, timeout=settle_seconds)
    async with opened(sender, receiver):
        yield sender, receiver


@dataclass(frozen=True, slots=True)
class Ends:
    """A broker with a queue `q`, and all ways to it, opened once for the tests of a file. Each test finds it empty."""

    broker: Broker
    sender: ServiceBusSender
    receiver: ServiceBusReceiver
    deleting: ServiceBusReceiver
    """Receives without a lock."""
    dead_letters: ServiceBusReceiver

    @property
    def queue(self) -> Queue:
        return self.broker.queue("q")


@asynccontextmanager
async def all_ends() -> AsyncIterator[Ends]:
    async with clean_broker(QueueSpec("q")) as broker, connected(broker) as client:
        sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
        deleting = client.get_queue_receiver("q", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
        dead_letters = client.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        async with opened(sender, receiver, deleting, dead_letters):
            yield Ends(broker, sender, receiver, deleting, dead_letters)


def make_empty(queue: Queue) -> None:
    """Take out what a test has left, in whatever state."""
    queue.expire_locks()
    for message in queue.messages():
        match message.state:
            case State.SCHEDULED:
                queue.cancel(message.sequence_number)
            case State.DEFERRED:
                queue.receive_deferred(message.sequence_number, locks=False)
            case State.ACTIVE:
                queue.take_next()
    if queue.dead_letters is not queue:
        make_empty(queue.dead_letters)


def messages(*bodies: str) -> list[ServiceBusMessage]:
    return [ServiceBusMessage(body) for body in bodies]


async def receive(receiver: ServiceBusReceiver, count: int = 1) -> list[ServiceBusReceivedMessage]:
    """Exactly `count` messages, which leaves no credit behind."""
    received = await receiver.receive_messages(count, max_wait_time=WAIT_SECONDS)
    assert len(received) == count
    return received


def bodies(received: list[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in received]
