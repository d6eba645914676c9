"""Keeping a realm in order, while others go on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.operate import retry
from jobq.core.outbox import PATIENCE, repair, repair_all
from jobq.core.ports import NO_DELAY
from jobq.core.status import batch_status, is_anything_queued, realm_status, tag_status
from jobq.core.sweep import FOLD_AFTER, INTERVAL, repair_orphans, sweep, sweep_if_due
from jobq.core.workers import FORGET_AFTER, WorkerRow, worker_rows
from jobq.errors import NotFound
from jobq.model.fingerprint import error_of
from jobq.model.job import JobState, Limits
from jobq.model.names import shard_of
from tests.proof.actors import FAILED, OK, Worker, always, go_on
from tests.proof.faults import Fault, FaultyStack
from tests.proof.missing import MissingStack
from tests.proof.scenarios import Scenario, dead_push
from tests.proof.world import World, assert_counts_equal_rows, new_job, outbox_rows

MINUTE = timedelta(minutes=1)


async def counter_rows(world: World, label: str = "r") -> int:
    return sum([len(await scan) for scan in world.realm.shard_scans(f"count~{label}~")])


async def test_abandoned_outbox_row_is_sent_after_a_while() -> None:
    world = World()
    await dead_push(world, new_job("b-1", lanes=("0", "1")))
    assert (await sweep(world.realm)).outbox_rows == 1
    assert (await world.queue().look(0)).messages == 0

    world.clock.move(by=PATIENCE)
    assert (await sweep(world.realm)).outbox_rows == 1

    assert [(await world.queue(lane).look(0)).messages for lane in ("0", "1")] == [1, 1]
    assert await outbox_rows(world.realm) == 0
    assert (await sweep(world.realm)).is_clean


async def test_lane_without_a_queue_holds_up_no_other_and_the_rest_of_the_sweep() -> None:
    # Given tickets that were never sent, to lanes with and without a queue, some jobs being in both
    world = World()
    await dead_push(world, *(new_job(f"b-{number}", lanes=("0",)) for number in range(1, 20)))
    await dead_push(world, *(new_job(f"c-{number}", lanes=("9",)) for number in range(1, 20)))
    await dead_push(world, new_job("d-1", lanes=("0", "9")))
    stack = MissingStack(world.stack, f"{world.name}-lane-9")
    realm = world.process(stack)
    # And a worker long dead
    await WorkerRow(realm, "w-1", 1).beat([], believe=MINUTE)
    world.clock.move(by=FORGET_AFTER + 2 * MINUTE)

    # When it is swept, more than once
    for _ in range(3):
        with pytest.raises(NotFound, match="there is no queue proof-lane-9"):
            await sweep(realm)

    # Then all that can be sent is sent, once, and all else is done
    assert [(await world.queue(lane).look(0)).messages for lane in ("0", "9")] == [19, 0]
    assert await worker_rows(realm) == []

    # And what could not be sent is sent when there is a queue
    stack.missing.clear()
    await sweep(realm)
    assert [(await world.queue(lane).look(0)).messages for lane in ("0", "9")] == [20, 20]
    assert await outbox_rows(realm) == 0


async def test_repair_leaves_the_rows_of_the_push_that_asks() -> None:
    world = World()
    await dead_push(world, new_job("b-1"))
    [[row]] = [rows for scan in world.realm.shard_scans("outbox~") if (rows := await scan)]
    push = row.key.rpartition("~")[2][:8]

    assert await repair(world.realm, shard_of("b-1"), patience=NO_DELAY, but=push) == 1
    assert (await world.queue().look(0)).messages == 0


async def test_chunk_of_an_abandoned_push_is_sent_as_a_chunk() -> None:
    world = World()
    jobs = [new_job(f"b-{number}") for number in range(1, 40)]
    await dead_push(world, *jobs, chunk=3)
    world.clock.move(by=PATIENCE)

    await repair_all(world.realm)

    assert (await world.queue().look(0)).messages < 39 / 2
    healthy = await go_on(world)
    assert healthy.started == {job.id: 1 for job in jobs}


async def test_delayed_retry_of_an_abandoned_outbox_row_keeps_its_delay() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=12)))
    stack = FaultyStack(world.stack)
    worker = Worker(world, world.process(stack), always(FAILED))
    for _ in range(9):
        await worker.work()
        world.clock.move(by=5 * MINUTE)
    stack.break_at("queue.release", Fault.REFUSED)
    await worker.work()
    job = await world.job("b-1")
    assert (job.state, await outbox_rows(world.realm)) == (JobState.QUEUED, 1)

    world.clock.move(by=PATIENCE)
    await repair_all(world.realm)

    assert job.due_at is not None
    assert job.due_at - world.clock.now() > MINUTE
    assert await Worker(world, world.realm).work() == 0


async def test_fold_adds_up_old_counters_and_a_live_writer_goes_on() -> None:
    world = World()
    first = world.process()
    for number, realm in enumerate([first, world.process(), world.process()]):
        world.realm = realm
        await world.push(*(new_job(f"b-{number}-{n}", tags=("t",)) for n in range(20)))
    before = await counter_rows(world)
    world.clock.move(by=FOLD_AFTER * 2)

    swept = await sweep(first)

    assert swept.folded > before
    assert await counter_rows(world) <= 8
    await assert_counts_equal_rows(first)
    world.realm = first
    await world.push(*(new_job(f"b-3-{n}", tags=("t",)) for n in range(20)))
    world.clock.move(by=FOLD_AFTER * 2)
    await sweep(world.process())
    await assert_counts_equal_rows(first)
    assert (await tag_status(first, "t")).counts.total == 80


async def test_folded_row_goes_when_nothing_is_left_in_it() -> None:
    """Of each way to fail there is one, so they would be ever more."""
    world = World()
    await world.push(new_job("b-1"))
    await Worker(world, world.process(), always(FAILED)).work()
    error = error_of(await world.job("b-1"))
    assert error is not None
    for again in (0, 1):
        world.clock.move(by=FOLD_AFTER * 2)
        await sweep(world.process())
        assert await counter_rows(world, f"e{error.key}") == 1 - again
        if not again:
            await retry(world.process(), "b-1")

    await assert_counts_equal_rows(world.realm)


async def test_young_counters_are_not_folded() -> None:
    world = World()
    await world.push_one()
    world.clock.move(by=FOLD_AFTER)
    assert (await sweep(world.realm)).folded == 0


async def test_row_of_a_worker_long_dead_goes() -> None:
    world = World()
    await WorkerRow(world.realm, "w", 1).beat([], believe=MINUTE)
    world.clock.move(by=FORGET_AFTER)
    assert (await sweep(world.realm)).dead_workers == 0
    world.clock.move(by=2 * MINUTE)
    assert (await sweep(world.realm)).dead_workers == 1
    assert await worker_rows(world.realm) == []


async def test_sweep_runs_at_most_once_a_minute_whoever_asks() -> None:
    world = World()
    assert await sweep_if_due(world.realm, "a") is not None
    assert await sweep_if_due(world.process(), "b") is None
    world.clock.move(by=INTERVAL)
    assert await sweep_if_due(world.process(), "b") is not None


async def test_orphans_of_a_queue_that_lost_its_messages_run_again() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1"), new_job("b-2", lanes=("0", "1")), new_job("b-3"))
    holder, held = await scenario.hold()
    await WorkerRow(holder.realm, "holder", 1).beat(held.jobs, believe=10 * MINUTE)
    dead, lost = await scenario.hold()
    for delivery in [lost.lease.delivery, *await world.queue().receive(8, lease=MINUTE)]:
        await world.queue().complete(delivery)

    assert await repair_orphans(world.realm) == 2

    await dead.run(lost)  # it lives after all, and is fenced off
    await holder.run(held)
    healthy = await go_on(world)
    assert healthy.started == {"b-2": 1, "b-3": 1}
    await assert_counts_equal_rows(world.realm)


async def test_status_counts_each_job_once_in_its_state() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(*(new_job(f"b-{n}", tags=("t",), lanes=("1", "0")) for n in range(1, 6)))
    await Worker(world, world.realm, always(FAILED)).work(limit=1)
    await Worker(world, world.realm, always(OK)).work(limit=1)
    holder, held = await scenario.hold()
    await WorkerRow(holder.realm, "holder", 1).beat(held.jobs, believe=10 * MINUTE)

    status = await realm_status(world.realm)

    expected = {"total": 5, "queued": 2, "running": 1, "succeeded": 1, "failed": 1, "cancelled": 0}
    assert status.realm.as_json() == expected
    assert status.tags["t"].as_json() == status.batches["b"].as_json() == expected
    assert list(status.lanes) == ["0", "1"]
    assert status.workers == 1
    assert (await batch_status(world.realm, "b")).as_json() == expected
    world.clock.move(by=11 * MINUTE)
    assert (await realm_status(world.realm)).realm.as_json() == expected | {"queued": 3, "running": 0}


async def test_delayed_retries_are_queued() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("1",), limits=Limits(retries=1)))
    await Worker(world, world.realm, always(FAILED)).work("1")

    assert await is_anything_queued(world.realm, ["0", "1"])
    assert not await is_anything_queued(world.realm, ["0"])


async def test_unknown_tag_and_batch_are_not_found() -> None:
    world = World()
    with pytest.raises(NotFound, match="no tag 'nobody'"):
        await tag_status(world.realm, "nobody")
    with pytest.raises(NotFound, match="no batch 'nobody'"):
        await batch_status(world.realm, "nobody")
