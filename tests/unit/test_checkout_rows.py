"""What others see of a checkout: a running job, held by nobody who is a worker."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core import checkout
from jobq.core.checkout import HOLD, ack, check_out, extend, nack
from jobq.core.checkout_rows import row_of
from jobq.core.operate import preempt, remove
from jobq.core.realm import Realm
from jobq.core.status import is_anything_queued, realm_status, tag_status, total
from jobq.core.sweep import repair_orphans, sweep
from jobq.core.workers import FORGET_AFTER, WorkerRow, held_jobs, live_workers, worker_rows
from jobq.errors import IllegalTransition, LeaseLost, ReplyLost, Unreachable
from jobq.model.job import Job, JobState
from tests.proof.actors import Worker, go_on
from tests.proof.callers import check_out_one
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job

SECOND = timedelta(seconds=1)


async def running(world: World) -> int:
    return (await total(world.realm)).running


async def test_checkout_counts_as_running_until_it_ends_and_is_no_worker() -> None:
    world = World()
    await world.push(new_job("b-1", tags=("t",)), new_job("b-2"))
    held = await check_out_one(world.realm)

    status = await realm_status(world.realm)
    assert (status.realm.running, status.realm.queued, status.workers) == (1, 1, 0)
    assert (status.lanes["0"].running, (await tag_status(world.realm, "t")).running) == (1, 1)
    assert await live_workers(world.realm) == []
    assert await held_jobs(world.realm) == {"b-1"}

    await ack(world.realm, "b-1", held.token)

    assert await running(world) == 0
    assert await worker_rows(world.realm) == []


async def test_checkout_does_not_count_as_running_when_its_lease_has_ended() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    world.clock.move(by=LEASE - SECOND)
    assert await running(world) == 1
    await extend(world.realm, "b-1", held.token, lease=LEASE)
    world.clock.move(by=LEASE - SECOND)
    assert await running(world) == 1

    world.clock.move(by=SECOND)

    assert await running(world) == 0


@pytest.mark.parametrize("say", [ack, nack, "remove"])
async def test_row_of_a_checkout_goes_with_it(say: object) -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    if say == "remove":
        await remove(world.realm, "b-1")
    else:
        await say(world.realm, "b-1", held.token)  # type: ignore[operator]  # one of two calls

    assert await worker_rows(world.realm) == []


async def test_job_taken_over_counts_as_running_once() -> None:
    world = World()
    await world.push_one()
    await check_out_one(world.realm, lease=LEASE)
    world.clock.move(by=LEASE)

    held = await check_out_one(world.realm)

    assert [row.key for row in await worker_rows(world.realm)] == [f"checkout-{held.token}"]
    assert await running(world) == 1


async def test_checkout_cut_off_before_its_answer_does_not_count_beside_the_worker_that_has_its_job() -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    stack.break_at("queue.send", Fault.KILLED_BEFORE)
    with pytest.raises(Killed):
        await check_out([world.process(stack)], lease=LEASE)
    assert await running(world) == 1
    world.clock.move(by=HOLD)

    assert await Worker(world, world.process()).work() == 1

    assert await worker_rows(world.realm) == []


@pytest.mark.parametrize("fault", [Fault.REFUSED, Fault.REPLY_LOST])
async def test_checkout_whose_row_cannot_be_written_is_not_answered(fault: Fault) -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    stack.break_next(fault, skip=3)  # the realm, the ticket, the claim; then the row

    if fault is Fault.REFUSED:
        with pytest.raises(Unreachable):
            await check_out([world.process(stack)], lease=LEASE)
        assert await worker_rows(world.realm) == []
    else:
        await check_out([world.process(stack)], lease=LEASE)
        assert await running(world) == 1
    assert stack.calls[3] == "table.commit"


async def test_row_of_an_end_that_could_not_be_recorded_says_less_and_not_more() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    stack = FaultyStack(world.stack)
    stack.break_next(Fault.REFUSED, skip=4)  # the job, its row, that goes; the job, its end

    with pytest.raises((Unreachable, ReplyLost)):
        await ack(world.process(stack), "b-1", held.token)

    assert stack.calls[2] == stack.calls[4] == "table.commit"
    assert (await running(world), await is_anything_queued(world.realm, ["0"])) == (0, True)
    await ack(world.realm, "b-1", held.token)
    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_extension_that_comes_too_late_leaves_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    async def slowly(realm: Realm, job: Job) -> WorkerRow:
        row = await row_of(realm, job)
        await remove(world.realm, "b-1")
        return row

    monkeypatch.setattr(checkout, "row_of", slowly)

    with pytest.raises(LeaseLost, match="it is gone"):
        await extend(world.realm, "b-1", held.token)

    assert await worker_rows(world.realm) == []


async def test_lost_row_is_written_again_when_the_lease_is_extended() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "1")))
    held = await check_out_one(world.realm)
    world.clock.move(by=LEASE + FORGET_AFTER + SECOND)
    await sweep(world.realm)
    assert await worker_rows(world.realm) == []

    again = await extend(world.realm, "b-1", held.token, lease=LEASE)

    assert (again.lane, await running(world)) == ("0", 1)


async def test_repair_leaves_what_is_checked_out() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    assert await repair_orphans(world.realm) == 0
    await ack(world.realm, "b-1", held.token)

    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_removed_job_is_gone_at_once_and_its_holder_is_told() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    assert await remove(world.realm, "b-1") is None

    assert await world.realm.find("b-1") is None
    for say in (ack, nack, extend):
        with pytest.raises(LeaseLost, match="it is gone"):
            await say(world.realm, "b-1", held.token)
    await world.push_one()  # under the same name, while the old ticket is still out
    healthy = await go_on(world)
    assert healthy.started == {"b-1": 1}
    await assert_counts_equal_rows(world.realm)


async def test_nobody_can_be_told_to_stop_a_checkout() -> None:
    world = World()
    await world.push_one()
    await check_out_one(world.realm)

    with pytest.raises(IllegalTransition, match="is checked out"):
        await preempt(world.realm, "b-1")
