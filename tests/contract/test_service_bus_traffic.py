"""Several receivers on one queue, and everything that may happen to them at once: no message is lost or stuck."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from jobq.adapters.service_bus import ServiceBusQueue
from jobq.adapters.service_bus_client import BusClient
from jobq.core.ports import Delivery
from jobq.errors import JobqError, Unreachable
from tests.broker import DETACH, DROP_AFTER, DROP_BEFORE, Broker, QueueSpec, Refuse
from tests.until import until

pytestmark = pytest.mark.slow

MESSAGES = 80
BREAKS = 20
WITHIN = timedelta(seconds=100)
LEASE = timedelta(minutes=5)
BUSY = Refuse("com.microsoft:server-busy")
OPERATIONS = ["send", "complete", "attach", "put-token", "renew-lock"]


@pytest.fixture
def queues() -> QueueSpec:
    return QueueSpec("any", lock=timedelta(seconds=2), max_delivery_count=1000)


@dataclass
class Traffic:
    """What has become of each message, by its body."""

    random: random.Random
    done: Counter[bytes] = field(default_factory=Counter)
    is_over: bool = False


@pytest.fixture
async def receivers(broker: Broker) -> AsyncIterator[list[ServiceBusQueue]]:
    """The same queue, for three processes."""
    client = BusClient.from_connection_string("lab", broker.connection_string)
    receivers = [ServiceBusQueue(client, "exp7") for _ in range(3)]
    yield receivers
    await asyncio.gather(*(receiver.close() for receiver in receivers))


@pytest.mark.parametrize("seed", [3])
async def test_every_message_is_completed_whatever_happens_meanwhile(
    broker: Broker, receivers: list[ServiceBusQueue], seed: int
) -> None:
    traffic = Traffic(random.Random(seed))
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_send(receivers[0], traffic))
        receiving = [group.create_task(_receive(receiver, traffic)) for receiver in receivers]
        breaking = group.create_task(_break(broker, traffic))
        await asyncio.wait([sending, breaking])
        await until(lambda: len(traffic.done) == MESSAGES, within=WITHIN)
        await until(lambda: not broker.queue("exp7").messages(), within=WITHIN)
        traffic.is_over = True
        await asyncio.wait(receiving)

    assert sorted(traffic.done) == [b"%03d" % n for n in range(MESSAGES)]


async def _send(queue: ServiceBusQueue, traffic: Traffic) -> None:
    """In small bursts; again what may not have arrived."""
    left = [b"%03d" % n for n in range(MESSAGES)]
    while left:
        some = left[: traffic.random.choice([1, 2, 17])]
        delay = timedelta(seconds=traffic.random.choice([0, 0, 0.3]))
        with suppress(Unreachable):
            await queue.send(some, delay=delay)
            left = left[len(some) :]


async def _receive(queue: ServiceBusQueue, traffic: Traffic) -> None:
    pick = traffic.random
    async with asyncio.TaskGroup() as group:
        while not traffic.is_over:
            asking = group.create_task(_ask(queue, pick.choice([1, 1, 4, 32]), pick.choice([0.0, 0.1, 1.0])))
            done, _ = await asyncio.wait([asking], timeout=pick.choice([0.05, 5.0]))
            if not done:
                asking.cancel()
                await asyncio.wait([asking])
            for delivery in [] if asking.cancelled() else asking.result():
                group.create_task(_settle(queue, delivery, traffic))


async def _ask(queue: ServiceBusQueue, limit: int, seconds: float) -> list[Delivery]:
    with suppress(Unreachable):
        return await queue.receive(limit, lease=LEASE, wait=timedelta(seconds=seconds))
    return []


async def _settle(queue: ServiceBusQueue, delivery: Delivery, traffic: Traffic) -> None:
    """As workers do, and some forget it, so that its lock runs out."""
    with suppress(JobqError):
        match traffic.random.randrange(8):
            case 0:
                return
            case 1:
                await queue.release(delivery, delivery.body, delay=timedelta(seconds=0.2))
                return
            case 2:
                delivery = await queue.extend(delivery, lease=LEASE)
        traffic.done[delivery.body] += 1
        await queue.complete(delivery)


async def _break(broker: Broker, traffic: Traffic) -> None:
    """Connections break, answers are lost, the service is busy."""
    for _ in range(BREAKS):
        await asyncio.sleep(0.4)  # the pace of what goes wrong
        if traffic.random.random() < 0.2:
            await broker.drop_connections()
        else:
            fault = traffic.random.choice([DROP_BEFORE, DROP_AFTER, DETACH, BUSY])
            broker.fault(traffic.random.choice(OPERATIONS), fault)
