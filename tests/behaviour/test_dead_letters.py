"""What the broker gives up to deliver is found among the failed jobs, with the reason, and `retry` brings it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from jobq.adapters.local import MemoryStack
from jobq.core.listing import Filter, list_jobs
from jobq.core.operate import retry
from jobq.core.sweep import sweep
from jobq.model.job import Job, JobState, Limits, Reason
from tests.behaviour.conftest import Stage
from tests.broker import Broker, QueueSpec, Refuse
from tests.proof.world import Clock, World, assert_counts_equal_rows, new_job
from tests.service_bus import stack_on

LOCK = timedelta(minutes=1)
EXPIRES_AFTER = timedelta(minutes=30)
MOST = 3
"""Deliveries."""


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
async def broker(clock: Clock) -> AsyncIterator[Broker]:
    """As nobody should set up queues for jobq: it gives up soon."""
    spec = QueueSpec("any", lock=LOCK, max_delivery_count=MOST, time_to_live=EXPIRES_AFTER)
    async with Broker(template=spec, clock=clock.seconds) as broker:
        yield broker
    assert broker.violations == []


@pytest.fixture
async def stage(broker: Broker, clock: Clock) -> AsyncIterator[Stage]:
    stack = stack_on(broker, MemoryStack(clock.seconds), clock.seconds)
    yield Stage(World(stack, name="exp7", clock=clock), LOCK)
    await stack.close()


async def failed(stage: Stage) -> list[Job]:
    """As `jobq jobs --state failed` lists them."""
    await assert_counts_equal_rows(stage.realm)
    return (await list_jobs(stage.realm, Filter(state=JobState.FAILED), limit=50)).jobs


async def test_ticket_that_nobody_settles_fails_its_job_and_retry_brings_it_back(stage: Stage, broker: Broker) -> None:
    # Given a ticket that was received as often as the queue allows, and never settled
    await stage.world.push(new_job("b-1", tags=("t",)), new_job("b-2"))
    for _ in range(MOST):
        await stage.receive(stage.worker())
        stage.pass_time(LOCK)

    # When the sweeper comes
    await stage.work(stage.worker())
    assert (await sweep(stage.realm)).dead_letters == 1

    # Then its job has failed, and says why
    [job] = await failed(stage)
    assert (job.id, job.reason) == ("b-1", Reason.LOST)
    assert job.message.startswith(f"the broker gave its ticket up after {MOST} deliveries (MaxDeliveryCountExceeded")
    assert broker.queue("exp7/$DeadLetterQueue").active_count == 0

    # When it is retried
    await retry(stage.realm, "b-1")
    worker = stage.worker()
    await stage.work(worker)

    # Then it runs
    assert worker.started == {"b-1": 1}
    assert await failed(stage) == []


async def test_running_job_whose_workers_are_lost_too_often_for_the_broker_fails_as_lost(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", limits=Limits(crashes=100)))
    for n in range(MOST):
        await stage.lose(await stage.take(stage.worker(f"w{n}")))

    await sweep(stage.realm)

    [job] = await failed(stage)
    assert (job.reason, job.tries, job.attempt) == (Reason.LOST, {Reason.LOST: MOST}, MOST)


async def test_ticket_that_expired_in_the_queue_fails_its_job(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"), new_job("b-2", lanes=("1",)))
    stage.pass_time(EXPIRES_AFTER)

    await sweep(stage.realm)

    assert ["TTLExpiredException" in job.message for job in await failed(stage)] == [True, True]


async def test_dead_letter_of_a_job_that_has_ended_says_nothing_new(stage: Stage) -> None:
    # Given a job with a ticket too many, which expires
    await stage.world.push(new_job("b-1"))
    worker = stage.worker()
    delivery = await stage.receive(worker)
    held = await worker.take("0", delivery)
    assert held is not None
    await worker.run(held)
    await stage.realm.queue("0").send([delivery.body])
    stage.pass_time(EXPIRES_AFTER)

    assert (await sweep(stage.realm)).dead_letters == 1

    assert await failed(stage) == []
    assert await stage.world.state("b-1") is JobState.SUCCEEDED


async def test_dead_letter_that_is_no_ticket_is_kept(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    await stage.work(stage.worker())
    await stage.realm.queue("0").send([b"what is this"])
    stage.pass_time(EXPIRES_AFTER)

    await sweep(stage.realm)

    [kept] = await failed(stage)
    assert kept.reason is Reason.UNDECODABLE
    assert await stage.realm.stack.blobs.get(kept.payload_blob) == b"what is this"


async def test_sweeper_that_may_not_read_dead_letters_does_all_else(stage: Stage, broker: Broker) -> None:
    await stage.world.push(new_job("b-1"))
    broker.fault("attach", Refuse("amqp:unauthorized-access"), times=99)

    swept = await sweep(stage.realm)

    assert swept.dead_letters == 0
