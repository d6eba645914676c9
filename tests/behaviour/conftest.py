"""One suite of the core's behaviour over every stack: real queues with the leases and delays that they have."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobq.adapters.local import LocalStack, MemoryStack
from jobq.core.claim import Held
from jobq.core.ports import Delivery, Stack
from jobq.core.realm import Realm
from tests.proof.actors import Worker
from tests.proof.world import Clock, World
from tests.service_bus import KINDS, OUTSIDE_LOCK, on_emulator, on_service_bus
from tests.until import until

STACKS = ["memory", "local", "azurite", *KINDS]


@dataclass
class Stage:
    """A world on one stack. Where its clock cannot be moved, time passes by itself, and leases are short."""

    world: World
    lease: timedelta

    @property
    def realm(self) -> Realm:
        return self.world.realm

    def worker(self, name: str = "w") -> Worker:
        """Another process."""
        return Worker(self.world, self.world.process(), name=name, lease=self.lease)

    def pass_time(self, by: timedelta) -> None:
        """For the queues too, if they go by this clock; whoever waits for what has to come waits for others."""
        self.world.clock.move(by=by + timedelta(milliseconds=2))  # brokers tell times in whole milliseconds

    async def receive(self, worker: Worker, lane: str = "0") -> Delivery:
        """The next ticket, within the time that leases and delays here take."""
        deliveries: list[Delivery] = []

        async def has_come() -> bool:
            deliveries.extend(await worker.realm.queue(lane).receive(1, lease=self.lease))
            return bool(deliveries)

        await until(has_come, within=timedelta(seconds=20), poll_seconds=0.1)
        return deliveries[0]

    async def take(self, worker: Worker, lane: str = "0") -> Held:
        """The next ticket, claimed."""
        held = await worker.take(lane, await self.receive(worker, lane))
        assert held is not None
        return held

    async def lose(self, held: Held) -> None:
        """Its lease runs out."""
        self.pass_time(held.lease.delivery.lease)

    async def work(self, worker: Worker, *, lane: str = "0") -> None:
        """Run the next ticket."""
        held = await worker.take(lane, await self.receive(worker, lane))
        if held is not None:
            await worker.run(held)

    async def is_empty(self, lane: str = "0") -> bool:
        return (await self.realm.queue(lane).look(0)).messages == 0


@pytest.fixture(params=STACKS)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    clock = Clock(datetime.now(UTC))  # the SDK for Service Bus holds locks against its own clock
    name = f"t{uuid.uuid4().hex[:20]}"
    if request.param == "servicebus":
        async with on_service_bus(MemoryStack(clock.seconds), clock.seconds) as stack:
            yield Stage(World(stack, name=name, clock=clock), timedelta(minutes=1))
        return
    if request.param == "emulator":
        async with on_emulator(MemoryStack(clock.seconds), [name, f"{name}-lane-1"]) as stack:
            yield Stage(World(stack, name=name, clock=clock), OUTSIDE_LOCK)
        return
    stack = _open(request, tmp_path, clock)
    lease = timedelta(seconds=2) if request.param == "azurite" else timedelta(minutes=10)
    yield Stage(World(stack, name=name, clock=clock), lease)
    await stack.close()


def _open(request: pytest.FixtureRequest, folder: Path, clock: Clock) -> Stack:
    if request.param == "memory":
        return MemoryStack(clock.seconds)
    if request.param == "local":
        return LocalStack(folder / "q", durable=False, clock=clock.seconds)
    connection_string: str = request.getfixturevalue("azurite")
    from jobq.adapters.azure import AzureStack  # only where Azurite is: the SDK is an extra

    return AzureStack.from_connection_string(connection_string)
