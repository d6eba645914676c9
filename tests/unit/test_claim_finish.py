"""From a ticket to a running job and to its end: claim, lease, finish, retries, chunks."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobq.core.claim import Held, claim
from jobq.core.finish import finish, give_back, settle
from jobq.core.lease import TicketLease
from jobq.core.logs import log_key
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel, remove
from jobq.core.outbox import PATIENCE, repair_all
from jobq.core.payload import result_of
from jobq.core.realm import Realm
from jobq.errors import LeaseLost, Unreachable
from jobq.model.job import Job, JobState, Limits, Outcome, Reason
from jobq.model.ticket import decode_ticket
from tests.proof.actors import FAILED, OK, PREEMPTED, Worker, always, go_on
from tests.proof.faults import Fault, FaultyStack
from tests.proof.scenarios import ONE_SHARD
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job, outbox_rows

SECOND = timedelta(seconds=1)
CHUNK = [f"b-{number}" for number in ONE_SHARD]


async def take(world: World, realm: Realm | None = None, *, lane: str = "0", name: str = "w") -> Held:
    """The next ticket, claimed."""
    held = await try_to_take(world, realm, lane=lane, name=name)
    assert held is not None
    return held


async def try_to_take(world: World, realm: Realm | None = None, *, lane: str = "0", name: str = "w") -> Held | None:
    return await claim(realm or world.realm, lane, await receive(world, realm, lane=lane), worker=name)


async def receive(world: World, realm: Realm | None = None, *, lane: str = "0") -> TicketLease:
    queue, seconds = (realm or world.realm).queue(lane), world.clock.seconds
    [delivery] = await queue.receive(1, lease=LEASE)
    return TicketLease(queue, delivery, LEASE, seconds(), seconds)


async def push_chunk(world: World, *, retries: int = 0) -> None:
    await world.push(*(new_job(job_id, limits=Limits(retries=retries), tags=("t",)) for job_id in CHUNK), chunk=3)


def lose_leases(world: World) -> None:
    world.clock.move(by=LEASE + SECOND)


async def test_job_runs_from_push_to_its_end_in_few_transactions() -> None:
    world, meter = World(), Meter()
    realm = world.process(metered(world.stack, meter))
    await world.push_one()

    await Worker(world, realm).work()

    assert meter == {"queue.receive": 1, "table.commit": 2, "queue.complete": 1}
    assert await world.state("b-1") is JobState.SUCCEEDED
    assert (await world.queue().look(0)).messages == 0


async def test_chunk_costs_one_claim_and_one_completion() -> None:
    world, meter = World(), Meter()
    realm = world.process(metered(world.stack, meter))
    await push_chunk(world)

    await Worker(world, realm).work()

    assert meter == {"queue.receive": 1, "table.commit": 4, "queue.complete": 1}


async def test_ends_recorded_at_the_same_time_share_transactions() -> None:
    world, meter = World(), Meter()
    await push_chunk(world)
    realm = world.process(FaultyStack(metered(world.stack, meter)))
    held = await take(world, realm)
    meter.clear()

    await asyncio.gather(*(finish(realm, held, job, OK) for job in held.jobs))

    assert meter == {"table.commit": 2}
    await assert_counts_equal_rows(world.realm)


@pytest.mark.parametrize("count", [32, 100, 250])
async def test_chunk_of_any_size_is_claimed_and_split(count: int) -> None:
    """Over a hundred rows take several transactions."""
    world = World()
    ids = [f"c-{number}" for number in range(12 * count) if one_shard(f"c-{number}")][:count]
    await world.push(*map(new_job, ids), chunk=1000)
    held = await take(world)
    assert [job.id for job in held.jobs] == ids
    lose_leases(world)

    assert await try_to_take(world) is None

    assert (await world.queue().look(0)).messages == count
    assert await outbox_rows(world.realm) == 0
    healthy = await go_on(world)
    assert healthy.started == dict.fromkeys(ids, 1)


def one_shard(job_id: str) -> bool:
    from jobq.model.names import shard_of

    return shard_of(job_id) == 0


async def test_retried_job_waits_for_its_backoff_in_its_own_message() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=2)))
    worker = Worker(world, world.realm, always(FAILED))

    await worker.work()

    job = await world.job("b-1")
    assert job.state is JobState.QUEUED
    assert job.due_at is not None
    assert timedelta(seconds=0.75) <= job.due_at - world.clock.now() <= timedelta(seconds=1.25)
    assert await worker.work() == 0
    world.clock.move(by=2 * SECOND)
    assert await worker.work() == 1
    assert (await world.queue().look(0)).messages == 1


async def test_job_fails_after_its_retries_and_keeps_the_last_lines() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=2), tags=("t",)))
    worker = Worker(world, world.realm, always(FAILED))
    for _ in range(4):
        await worker.work()
        world.clock.move(by=timedelta(minutes=1))

    job = await world.job("b-1")
    assert (job.state, job.reason, job.exit_code, job.tail) == (JobState.FAILED, Reason.EXIT, 1, "not so fine")
    assert (job.attempt, job.tries, worker.started["b-1"]) == (3, {Reason.EXIT: 3}, 3)
    await assert_counts_equal_rows(world.realm)


async def test_success_after_a_failure_shows_nothing_of_the_failure() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1)))
    failed = Outcome(Reason.EXIT, exit_code=3, message="it broke", tail="boom", log="log/1")
    await Worker(world, world.realm, always(failed)).work()
    world.clock.move(by=2 * SECOND)

    held = await take(world)
    assert (await world.job("b-1")).due_at is None
    await finish(world.realm, held, held.jobs[0], Outcome())

    job = await world.job("b-1")
    assert (job.state, job.reason, job.exit_code) == (JobState.SUCCEEDED, None, None)
    assert (job.message, job.tail, job.log) == ("", "", "")
    assert (job.attempt, job.tries) == (2, {Reason.EXIT: 1})
    assert job.pushed_at is not None


async def test_preempted_job_goes_back_at_once() -> None:
    world = World()
    await world.push_one()
    await Worker(world, world.realm, always(PREEMPTED)).work()

    assert await Worker(world, world.realm).work() == 1
    job = await world.job("b-1")
    assert (job.state, job.tries) == (JobState.SUCCEEDED, {Reason.PREEMPTED: 1})


async def test_retry_of_a_job_in_two_lanes_has_a_ticket_in_each() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "1"), limits=Limits(retries=1)))
    worker = Worker(world, world.realm, always(FAILED))
    await worker.work("0")
    await worker.work("1")  # the old ticket of lane 1 is void
    world.clock.move(by=2 * SECOND)

    assert await worker.work("1") == 1
    assert await world.state("b-1") is JobState.FAILED
    assert worker.started["b-1"] == 2


async def test_duplicate_ticket_of_a_running_job_is_dropped() -> None:
    world = World()
    await world.push_one()
    [delivery] = await world.queue().receive(1, lease=SECOND)
    await world.queue().send([delivery.body])
    world.clock.move(by=2 * SECOND)
    await take(world)

    assert await try_to_take(world) is None
    assert (await world.queue().look(0)).messages == 1


@pytest.mark.parametrize("outcome", [OK, FAILED])
async def test_ticket_of_an_ended_job_is_dropped(outcome: Outcome) -> None:
    world = World()
    await world.push_one()
    [delivery] = await world.queue().receive(1, lease=SECOND)
    await world.queue().send([delivery.body])
    world.clock.move(by=2 * SECOND)
    worker = Worker(world, world.realm, always(outcome))

    assert await worker.work() == 2
    assert worker.started["b-1"] == 1
    assert (await world.queue().look(0)).messages == 0


async def test_duplicate_cannot_bypass_the_backoff() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1)))
    [delivery] = await world.queue().receive(1, lease=SECOND)
    await world.queue().send([delivery.body], delay=2 * SECOND)
    world.clock.move(by=2 * SECOND)
    worker = Worker(world, world.realm, always(FAILED))
    await worker.work(limit=1)

    await worker.work()

    assert worker.started["b-1"] == 1


async def test_worker_that_lost_its_lease_cannot_report() -> None:
    world = World()
    await world.push_one()
    slow = await take(world, name="slow")
    lose_leases(world)
    fast = await take(world, world.process(), name="fast")

    assert await finish(world.realm, slow, slow.jobs[0], OK) is None
    await settle(slow)

    job = await world.job("b-1")
    assert (job.state, job.worker, job.tries) == (JobState.RUNNING, "fast", {Reason.LOST: 1})
    assert await finish(world.realm, fast, fast.jobs[0], OK)
    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_claim_that_comes_after_a_take_over_leaves_silently() -> None:
    world = World()
    await world.push_one()
    slow = await receive(world)
    lose_leases(world)
    await take(world)

    assert await claim(world.realm, "0", slow, worker="slow") is None
    assert (await world.job("b-1")).tries == {}
    assert (await world.queue().look(0)).messages == 1


async def test_slow_claim_for_a_removed_job_does_not_take_its_successor() -> None:
    """Its message is gone by then, so nobody could take over from it."""
    world = World()
    await world.push_one()
    slow = await receive(world)
    lose_leases(world)
    await remove(world.realm, "b-1")
    assert await try_to_take(world) is None
    await world.push_one()

    assert await claim(world.realm, "0", slow, worker="slow") is None
    healthy = await go_on(world)
    assert healthy.started == {"b-1": 1}


async def test_crash_limit_ends_a_job_that_kills_its_workers() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(crashes=2), tags=("t",)))
    for _ in range(3):
        await take(world)
        lose_leases(world)

    assert await try_to_take(world) is None

    job = await world.job("b-1")
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.LOST, {Reason.LOST: 3})
    assert (await world.queue().look(0)).messages == 0
    await assert_counts_equal_rows(world.realm)


async def test_crash_limit_is_checked_before_a_payload_is_fetched() -> None:
    world, meter = World(), Meter()
    await world.push(new_job("b-1", limits=Limits(crashes=0), command="x" * 50_000))
    await take(world)
    lose_leases(world)

    assert await try_to_take(world, world.process(metered(world.stack, meter))) is None

    assert meter["blob.get"] == 0
    assert await world.state("b-1") is JobState.FAILED


async def test_lost_chunk_is_split_and_counts_nobodys_loss() -> None:
    world = World()
    await push_chunk(world)
    held = await take(world)
    await finish(world.realm, held, held.jobs[0], OK)
    lose_leases(world)

    assert await try_to_take(world) is None

    assert (await world.queue().look(0)).messages == 2
    jobs = await assert_counts_equal_rows(world.realm)
    assert sorted(job.state for job in jobs.values()) == ["queued", "queued", "succeeded"]
    assert all(not job.tries for job in jobs.values())
    singles = await world.queue().receive(8, lease=SECOND)
    assert [len(decode_ticket(single.body).entries) for single in singles] == [1, 1]


async def test_retry_of_a_job_of_a_chunk_gets_a_ticket_of_its_own() -> None:
    world = World()
    await push_chunk(world, retries=1)
    await Worker(world, world.realm, always(FAILED)).work()

    world.clock.move(by=2 * SECOND)
    assert await Worker(world, world.realm).work() == 3
    jobs = await assert_counts_equal_rows(world.realm)
    assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}


async def test_jobs_given_back_have_not_been_tried() -> None:
    world = World()
    await push_chunk(world)
    held = await take(world)

    await give_back(world.realm, held, held.jobs[1:])
    await finish(world.realm, held, held.jobs[0], OK)
    await settle(held)

    jobs = [await world.job(job_id) for job_id in CHUNK[1:]]
    assert [(job.state, job.attempt, job.tries) for job in jobs] == [(JobState.QUEUED, 0, {})] * 2
    assert (await world.queue().look(0)).messages == 2
    assert await outbox_rows(world.realm) == 0


async def test_job_cancelled_after_the_claim_is_given_back_as_cancelled() -> None:
    world = World()
    await push_chunk(world)
    held = await take(world)
    await cancel(world.realm, CHUNK[1])
    await remove(world.realm, CHUNK[2])

    await give_back(world.realm, held, held.jobs)
    await settle(held)

    jobs = await assert_counts_equal_rows(world.realm)
    assert {job_id: job.state.value for job_id, job in jobs.items()} == {CHUNK[0]: "queued", CHUNK[1]: "cancelled"}


async def test_cancelled_running_job_is_never_retried() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=5)))
    held = await take(world)
    await cancel(world.realm, "b-1")

    job = await finish(world.realm, held, held.jobs[0], FAILED)

    assert job is not None
    assert (job.state, job.reason) == (JobState.CANCELLED, Reason.CANCELLED)


async def test_removed_running_job_goes_with_its_blobs_when_its_attempt_ends() -> None:
    world = World()
    await world.push(new_job("b-1", command="x" * 50_000, tags=("t",)))
    held = await take(world)
    await world.stack.blobs.put(log_key(world.realm.name, "b-1", 1), b"output")
    await remove(world.realm, "b-1")
    assert (await world.job("b-1")).remove_requested

    assert await finish(world.realm, held, held.jobs[0], OK) is None

    assert await assert_counts_equal_rows(world.realm) == {}
    assert await world.stack.blobs.list("") == []


async def test_large_result_lies_in_a_blob() -> None:
    world = World()
    await world.push_one()
    held = await take(world)
    await finish(world.realm, held, held.jobs[0], Outcome(result={"text": "x" * 40_000}))

    job = await world.job("b-1")
    assert (job.result, job.result_blob != "") == (None, True)
    assert await result_of(world.realm, job) == {"text": "x" * 40_000}


async def test_small_result_lies_in_the_row() -> None:
    world = World()
    await world.push_one()
    held = await take(world)
    await finish(world.realm, held, held.jobs[0], Outcome(result=[1, None]))

    job = await world.job("b-1")
    assert job.result == await result_of(world.realm, job) == [1, None]


async def test_end_whose_reply_was_lost_is_recorded_once() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1)))
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    held = await take(world, realm)
    stack.break_next(Fault.REPLY_LOST)

    job = await finish(realm, held, held.jobs[0], FAILED)

    assert job is not None
    assert (job.state, job.tries) == (JobState.QUEUED, {Reason.EXIT: 1})
    await assert_counts_equal_rows(world.realm)


async def test_claim_whose_reply_was_lost_counts_no_loss() -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    lease = await receive(world, world.process(stack))
    stack.break_next(Fault.REPLY_LOST)

    held = await claim(world.process(stack), "0", lease, worker="w")

    assert held is not None
    assert (held.jobs[0].attempt, held.jobs[0].tries) == (1, {})


async def test_retry_whose_ticket_cannot_be_sent_is_left_to_the_outbox() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1)))
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    held = await take(world, realm)
    stack.break_next(Fault.REFUSED, skip=1)

    job = await finish(realm, held, held.jobs[0], FAILED)

    assert job is not None
    assert job.state is JobState.QUEUED
    assert await outbox_rows(world.realm) == 1
    world.clock.move(by=PATIENCE)
    assert await repair_all(world.realm) == 1
    assert await Worker(world, world.realm).work() == 1
    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_backend_in_trouble_is_an_error_and_the_ticket_comes_back() -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    lease = await receive(world, world.process(stack))
    stack.break_next(Fault.REFUSED)

    with pytest.raises(Unreachable):
        await claim(world.process(stack), "0", lease, worker="w")
    lose_leases(world)
    assert await Worker(world, world.realm).work() == 1


async def test_renewed_lease_keeps_the_job() -> None:
    world = World()
    await world.push_one()
    held = await take(world)
    for _ in range(5):
        world.clock.move(by=LEASE / 2)
        await held.lease.renew()

    assert held.lease.seconds_left == LEASE.total_seconds()
    assert await Worker(world, world.process()).work() == 0
    assert await finish(world.realm, held, held.jobs[0], OK)
    await settle(held)
    assert (await world.queue().look(0)).messages == 0


async def test_renewal_whose_reply_was_lost_is_a_lost_lease() -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    lease = await receive(world, world.process(stack))
    stack.break_next(Fault.REPLY_LOST)

    with pytest.raises(LeaseLost):
        await lease.renew()
    assert lease.is_over
    with pytest.raises(LeaseLost):
        await lease.complete()


async def test_lease_counts_from_before_the_call_that_renewed_it() -> None:
    world = World()
    await world.push_one()
    lease = await receive(world)
    world.clock.move(by=timedelta(minutes=4))
    assert lease.seconds_left == 360


async def test_settled_lease_can_not_be_used_again() -> None:
    world = World()
    await world.push_one()
    held = await take(world)
    await settle(held)
    await settle(held)

    with pytest.raises(LeaseLost):
        await held.lease.release(b"{}")


async def test_claim_tells_jobs_that_ran_before_from_the_others() -> None:
    """What the row knows of earlier attempts is there for the worker."""
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=3)))
    await Worker(world, world.realm, always(FAILED)).work()
    world.clock.move(by=2 * SECOND)

    job: Job = (await take(world)).jobs[0]
    assert (job.attempt, job.tries) == (2, {Reason.EXIT: 1})


async def test_running_retry_and_its_lost_worker_say_nothing_of_the_failure_before() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=3, crashes=0)))
    await Worker(world, world.realm, always(FAILED)).work()
    world.clock.move(by=2 * SECOND)
    await take(world)

    running = await world.job("b-1")
    assert (running.state, running.reason, running.exit_code, running.tail) == (JobState.RUNNING, None, None, "")

    lose_leases(world)
    await Worker(world, world.realm, always(FAILED)).work()
    lost = await world.job("b-1")
    assert (lost.state, lost.reason, lost.exit_code, lost.tail) == (JobState.FAILED, Reason.LOST, None, "")
    assert lost.tries == {Reason.EXIT: 1, Reason.LOST: 1}
