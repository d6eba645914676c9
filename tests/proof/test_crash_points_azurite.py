"""A few of the crash points on the Azure adapters, against Azurite."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from jobq.core.sweep import sweep
from jobq.errors import JobqError
from tests.proof.actors import Worker, go_on
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.operations import Adding, CancellingQueued, ClearingALane, MovingALane, Retrying
from tests.proof.scenarios import Pushing, PushingChunks, Scenario, WorkingOnAChunk
from tests.proof.world import assert_counts_equal_rows, outbox_rows

pytestmark = pytest.mark.azurite

WITHIN_SECONDS = 20


class Named:
    """A stack and a realm that nobody else uses."""

    def __init__(self, connection_string: str) -> None:
        from jobq.adapters.azure import AzureStack  # only where Azurite is: the SDK is an extra

        token = uuid.uuid4().hex[:12]
        self.name = f"proof-{token}"
        self.stack = AzureStack.from_connection_string(connection_string, table=f"t{token}", container=f"c{token}")


@pytest.fixture
async def named(azurite: str) -> AsyncIterator[Named]:
    named = Named(azurite)
    yield named
    await named.stack.close()


POINTS = [
    (Pushing, "table.commit", Fault.KILLED_AFTER),
    (Pushing, "queue.send", Fault.KILLED_BEFORE),
    (PushingChunks, "table.commit", Fault.REPLY_LOST),
    (PushingChunks, "queue.send", Fault.REPLY_LOST),
    (Retrying, "queue.send", Fault.KILLED_BEFORE),
    (Retrying, "table.commit", Fault.LATE),
    (CancellingQueued, "table.commit", Fault.REPLY_LOST),
    (ClearingALane, "queue.send", Fault.KILLED_AFTER),
    (MovingALane, "queue.send", Fault.KILLED_BEFORE),
    (Adding, "table.commit", Fault.REPLY_LOST),
]


@pytest.mark.parametrize(("kind", "call", "fault"), POINTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_nothing_is_lost_on_azure_storage(kind: type[Scenario], call: str, fault: Fault, named: Named) -> None:
    scenario = kind(named.stack, name=named.name)
    await scenario.setup()
    stack = FaultyStack(scenario.ledger)
    stack.break_at(call, fault)
    try:
        await scenario.act(scenario.world.process(stack))
        scenario.is_acknowledged = True
    except (JobqError, Killed):
        pass
    await scenario.follow()
    await stack.be_late()

    healthy = await go_on(scenario.world, lanes=scenario.lanes)

    jobs = await assert_counts_equal_rows(scenario.world.realm)
    assert all(job.state.is_final for job in jobs.values())
    assert await outbox_rows(scenario.world.realm) == 0
    scenario.verify(jobs, healthy)


@pytest.mark.parametrize("call", ["table.commit", "queue.complete"])
async def test_chunk_of_a_dead_worker_is_run_by_another_on_azure_storage(call: str, named: Named) -> None:
    scenario = WorkingOnAChunk(named.stack, name=named.name)
    world = scenario.world
    await scenario.setup()
    stack = FaultyStack(scenario.ledger)
    stack.break_at(call, Fault.KILLED_AFTER if call == "table.commit" else Fault.KILLED_BEFORE)
    with pytest.raises(Killed):
        await Worker(world, world.process(stack), lease=timedelta(seconds=1)).work()

    healthy = Worker(world, world.process(), name="healthy")
    deadline = time.monotonic() + WITHIN_SECONDS
    while (await world.queue().look(0)).messages:
        assert time.monotonic() < deadline
        await healthy.work()
        await asyncio.sleep(0.1)  # the lease of the dead ends in the backend's own time
    await sweep(healthy.realm)

    jobs = await assert_counts_equal_rows(world.realm)
    scenario.verify(jobs, healthy)
