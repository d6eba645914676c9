"""What the holder of a checkout may say: done, given back, failed, held for longer; and when it is heard."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.checkout import ack, check_out, extend, nack
from jobq.core.operate import cancel
from jobq.core.outbox import PATIENCE
from jobq.core.payload import result_of
from jobq.core.sweep import sweep
from jobq.errors import BadInput, LeaseLost
from jobq.model.job import JobState, Limits, Reason
from jobq.model.retry import Backoff
from jobq.model.wire import MAX_RESULT_BYTES
from tests.proof.actors import Worker, go_on
from tests.proof.callers import check_out_one
from tests.proof.faults import Fault, FaultyStack
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job, outbox_rows

SECOND = timedelta(seconds=1)


async def test_late_ack_is_accepted_while_nobody_has_the_job() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    world.clock.move(by=10 * LEASE)

    await ack(world.realm, "b-1", held.token)

    assert await check_out([world.realm]) == []
    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_ack_said_twice_is_said_once() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    first = await ack(world.realm, "b-1", held.token, result=1)
    assert await ack(world.realm, "b-1", held.token, result=1) == first

    for say in (nack, extend):
        with pytest.raises(LeaseLost, match="it is succeeded"):
            await say(world.realm, "b-1", held.token)
    await assert_counts_equal_rows(world.realm)


@pytest.mark.parametrize("token", ["", "other"])
@pytest.mark.parametrize("say", [ack, nack, extend])
async def test_job_is_only_its_holders(say: object, token: str) -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))
    await check_out_one(world.realm)

    for job_id in ("b-1", "b-2", "b-3"):
        with pytest.raises(LeaseLost):
            await say(world.realm, job_id, token)  # type: ignore[operator]  # one of three calls


async def test_claim_of_a_worker_is_no_checkout() -> None:
    world = World()
    await world.push_one()
    [delivery] = await world.queue().receive(1, lease=LEASE)
    held = await Worker(world, world.realm).take("0", delivery)
    assert held is not None

    with pytest.raises(LeaseLost):
        await ack(world.realm, "b-1", held.jobs[0].claim)


async def test_job_given_back_is_there_at_once_and_has_used_up_nothing() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "1")))
    held = await check_out_one(world.realm)

    job = await nack(world.realm, "b-1", held.token, message="not now")

    assert (job.state, job.tries, job.message) == (JobState.QUEUED, {Reason.PREEMPTED: 1}, "not now")
    assert await nack(world.realm, "b-1", held.token) == job
    with pytest.raises(LeaseLost, match="it is queued"):
        await ack(world.realm, "b-1", held.token)
    healthy = await go_on(world)
    assert healthy.started == {"b-1": 1}
    assert await outbox_rows(world.realm) == 0


async def test_job_given_back_with_a_delay_waits_for_so_long() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    await nack(world.realm, "b-1", held.token, delay=timedelta(hours=1))

    world.clock.move(by=timedelta(minutes=59))
    assert await check_out([world.realm]) == []
    world.clock.move(by=timedelta(minutes=1))
    await check_out_one(world.realm)


async def test_failed_attempt_is_tried_again_as_its_limits_say() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1, backoff=Backoff.parse("60s"))))
    held = await check_out_one(world.realm)

    waiting = await nack(world.realm, "b-1", held.token, failed=True, exit_code=3, message="no input")
    assert (waiting.state, waiting.tries, waiting.exit_code) == (JobState.QUEUED, {Reason.EXIT: 1}, 3)
    assert await check_out([world.realm]) == []
    world.clock.move(by=timedelta(seconds=100))
    held = await check_out_one(world.realm)
    job = await nack(world.realm, "b-1", held.token, failed=True)

    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.EXIT, {Reason.EXIT: 2})
    assert await nack(world.realm, "b-1", held.token, failed=True) == job
    await assert_counts_equal_rows(world.realm)


async def test_job_cannot_be_given_back_for_ever() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(preemptions=1)))
    for _ in range(2):
        held = await check_out_one(world.realm)
        job = await nack(world.realm, "b-1", held.token)

    assert (job.state, job.reason) == (JobState.FAILED, Reason.PREEMPTED)


async def test_lease_that_is_extended_outlives_many() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    for _ in range(5):
        world.clock.move(by=LEASE - SECOND)
        again = await extend(world.realm, "b-1", held.token, lease=LEASE)
        assert (again.token, again.lane, again.lease, again.job.spec.command) == (held.token, "0", LEASE, "true")
        assert await check_out([world.realm], count=9) == []
    await ack(world.realm, "b-1", held.token)

    job = await world.job("b-1")
    assert (job.state, job.attempt, job.tries) == (JobState.SUCCEEDED, 1, {})
    assert not (await go_on(world)).started


async def test_extended_lease_ends_too() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "1")))
    held = await check_out_one(world.realm)
    await extend(world.realm, "b-1", held.token, lease=2 * LEASE)
    world.clock.move(by=2 * LEASE - SECOND)
    assert await check_out([world.realm], count=9) == []
    world.clock.move(by=SECOND)

    again = await check_out_one(world.realm)

    assert (again.lane, again.job.tries) == ("0", {Reason.LOST: 1})


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.REPLY_LOST])
async def test_extension_whose_ticket_was_not_sent_is_valid_and_the_sweeper_sends_it(fault: Fault) -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    stack = FaultyStack(world.stack)
    stack.break_at("queue.send", fault)

    await extend(world.process(stack), "b-1", held.token, lease=2 * LEASE)

    assert await outbox_rows(world.realm) == 1
    world.clock.move(by=PATIENCE)
    await sweep(world.realm)
    world.clock.move(by=LEASE)
    assert await check_out([world.realm], count=9) == []
    world.clock.move(by=LEASE)
    assert (await check_out_one(world.realm)).job.tries == {Reason.LOST: 1}


async def test_holder_learns_of_a_cancel_when_it_extends_and_its_end_counts() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))
    first, second = await check_out([world.realm], count=2, lease=LEASE)
    assert not (await extend(world.realm, "b-1", first.token)).job.cancel_requested
    for job_id in ("b-1", "b-2"):
        await cancel(world.realm, job_id)

    assert (await extend(world.realm, "b-1", first.token, lease=LEASE)).job.cancel_requested
    given_back = await nack(world.realm, "b-1", first.token)
    done = await ack(world.realm, "b-2", second.token)

    assert (given_back.state, done.state) == (JobState.CANCELLED, JobState.SUCCEEDED)
    assert not (await go_on(world)).started


async def test_large_result_is_kept_in_a_blob_and_one_beyond_the_limit_is_refused() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    with pytest.raises(BadInput, match="put it in a file or blob"):
        await ack(world.realm, "b-1", held.token, result="x" * MAX_RESULT_BYTES)
    job = await ack(world.realm, "b-1", held.token, result="x" * 50_000)

    assert job.result_blob
    assert await result_of(world.realm, await world.job("b-1")) == "x" * 50_000
