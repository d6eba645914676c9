"""Moving jobs from lane to lane while they are queued."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.api import RealmApi, Selection
from jobq.core.listing import Filter
from jobq.core.operate import move_lane
from jobq.core.outbox import PATIENCE, repair_all
from jobq.core.status import realm_status
from jobq.errors import IllegalTransition, NotFound
from jobq.model.job import JobState, Limits
from tests.proof.actors import FAILED, Worker, always, go_on
from tests.proof.faults import Fault, FaultyStack
from tests.proof.missing import MissingStack
from tests.proof.scenarios import Scenario
from tests.proof.world import World, assert_counts_equal_rows, new_job, outbox_rows

MINUTE = timedelta(minutes=1)


async def test_moved_job_runs_from_its_new_lane_and_its_old_ticket_is_void() -> None:
    world = World()
    before = await world.push_one()

    job = await move_lane(world.realm, "b-1", "0", "5")

    assert (job.spec.lanes, job.generation) == (("5",), before.generation + 1)
    assert await world.realm.lanes() == ["0", "5"]
    assert await outbox_rows(world.realm) == 0
    worker = Worker(world, world.realm)
    assert await worker.work("0") == 1
    assert not worker.started
    assert await worker.work("5") == 1
    assert worker.started == {"b-1": 1}
    await assert_counts_equal_rows(world.realm)


async def test_moved_job_keeps_its_other_lanes_and_is_in_each_once() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "2")), new_job("b-2", lanes=("0", "2")))

    assert (await move_lane(world.realm, "b-1", "0", "1")).spec.lanes == ("1", "2")
    assert (await move_lane(world.realm, "b-2", "0", "2")).spec.lanes == ("2",)

    assert (await go_on(world, lanes=("0", "1", "2"))).started == {"b-1": 1, "b-2": 1}
    await assert_counts_equal_rows(world.realm)


async def test_move_to_the_lane_that_it_is_in_leaves_it() -> None:
    world = World()
    before = await world.push_one()
    assert await move_lane(world.realm, "b-1", "0", "0") == before


async def test_job_that_is_elsewhere_or_not_there_is_not_moved() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("1", "x")))
    with pytest.raises(IllegalTransition, match="job b-1 is not in lane 0, but in 1, x"):
        await move_lane(world.realm, "b-1", "0", "1")
    with pytest.raises(NotFound, match="there is no job b-2"):
        await move_lane(world.realm, "b-2", "0", "1")
    assert await world.realm.lanes() == ["1", "x"]


async def test_job_that_runs_or_has_ended_is_not_moved() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1", lanes=("1",)), new_job("b-2", lanes=("1",)))
    await Worker(world, world.realm, always(FAILED)).work("1", limit=1)
    _, held = await scenario.hold("1")
    [failed] = {"b-1", "b-2"} - {held.jobs[0].id}

    with pytest.raises(IllegalTransition, match=f"job {held.jobs[0].id} is running; only queued jobs can be moved"):
        await move_lane(world.realm, held.jobs[0].id, "1", "0")
    with pytest.raises(IllegalTransition, match=f"job {failed} is failed"):
        await move_lane(world.realm, failed, "1", "0")


async def test_job_stays_where_it_is_while_the_target_has_no_queue() -> None:
    world = World()
    before = await world.push_one()
    realm = world.process(MissingStack(world.stack, f"{world.name}-lane-9"))

    with pytest.raises(NotFound, match="there is no queue proof-lane-9"):
        await move_lane(realm, "b-1", "0", "9")

    assert await world.job("b-1") == before
    assert await world.realm.lanes() == ["0"]


async def test_retry_that_waits_goes_on_waiting_in_its_new_lane() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=3)))
    await Worker(world, world.realm, always(FAILED)).work()
    due_at = (await world.job("b-1")).due_at
    assert due_at is not None

    await move_lane(world.realm, "b-1", "0", "1")

    worker = Worker(world, world.realm)
    assert await worker.work("1") == 0
    world.clock.move(by=due_at - world.clock.now() + timedelta(seconds=1))
    await worker.work("1")
    assert worker.started == {"b-1": 1}


async def test_move_whose_reply_was_lost_is_made_once() -> None:
    world = World()
    before = await world.push_one()
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    await realm.open_lanes(["0", "1"])
    stack.break_at("table.commit", Fault.REPLY_LOST)

    job = await move_lane(realm, "b-1", "0", "1")

    assert job.generation == before.generation + 1
    world.clock.move(by=PATIENCE)
    await repair_all(world.realm)
    assert (await go_on(world)).started == {"b-1": 1}


async def test_jobs_are_moved_in_bulk_and_those_that_cannot_be_are_named() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(1, 5)), new_job("b-9", lanes=("2",), tags=("t",)))
    _, held = await scenario.hold()
    running = held.jobs[0].id

    answer = await RealmApi(world.realm).move(Selection(where=Filter(tag="t")), source="0", target="7")

    assert answer == {
        "matched": 3,
        "changed": 3,
        "refused": [],
        "next": None,
    }  # of a filter only what is queued, and in the lane
    elsewhere = await RealmApi(world.realm).move(Selection(where=Filter(lane="2")), source="0", target="7")
    assert [refused["error"] for refused in elsewhere["refused"]] == ["job b-9 is not in lane 0, but in 2"]
    named = await RealmApi(world.realm).move(Selection(ids=(running, "b-5")), source="0", target="7")
    errors = [refused["error"] for refused in named["refused"]]
    assert errors[0] == f"job {running} is running; only queued jobs can be moved to another lane"
    assert errors[1].startswith("there is no job b-5")
    status = await realm_status(world.realm)
    assert {lane: tally.counts.total for lane, tally in status.lanes.items()} == {"0": 1, "2": 1, "7": 3}
    assert await world.state(running) is JobState.RUNNING
