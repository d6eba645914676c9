"""Jobs leased to callers: which are taken, in what order and for how long, and what becomes of the forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobq.core.api import RealmApi
from jobq.core.checkout import CHECKOUT, ack, check_out, extend, nack
from jobq.core.erase import delete_realm
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel
from jobq.core.outbox import PATIENCE
from jobq.core.pause import pause
from jobq.core.realm_settings import SettingsChange, change_settings
from jobq.errors import BadInput, LeaseLost, NotFound, Unreachable
from jobq.model.job import JobState, Limits, Reason
from jobq.model.names import queue_name
from tests.proof.actors import go_on
from tests.proof.callers import check_out_one, ids_of
from tests.proof.faults import Fault, FaultyStack
from tests.proof.missing import MissingStack
from tests.proof.scenarios import ONE_SHARD, dead_push
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job

SECOND = timedelta(seconds=1)


async def test_job_is_leased_with_its_command_and_ends_when_its_caller_says_so() -> None:
    world = World()
    await world.push_one()

    held = await check_out_one(world.realm)
    job = await ack(world.realm, "b-1", held.token, result={"rows": 7}, message="fine")

    assert (held.realm, held.lane, held.lease, held.job.spec.command) == (world.name, "0", LEASE, "true")
    assert held.job.worker == f"{CHECKOUT}{held.token}"
    assert (job.state, job.result, job.message, job.attempt) == (JobState.SUCCEEDED, {"rows": 7}, "fine", 1)
    assert await world.job("b-1") == job
    await assert_counts_equal_rows(world.realm)


async def test_who_may_only_look_learns_no_token() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    document = await RealmApi(world.realm).job("b-1")

    assert document["worker"] == "checkout"
    assert held.token not in str(document)


async def test_what_is_left_of_an_acknowledged_checkout_goes_when_its_lease_ends() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    await ack(world.realm, "b-1", held.token)

    healthy = await go_on(world)

    assert not healthy.started
    assert (await world.queue().look(0)).messages == 0


async def test_nothing_is_handed_out_twice() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}", lanes=("0", "1")) for n in range(5)))

    held = await check_out([world.realm], count=20, lease=LEASE)

    assert sorted(ids_of(held)) == [f"b-{n}" for n in range(5)]
    assert {one.lane for one in held} == {"0"}
    assert await check_out([world.realm], count=20, lease=LEASE) == []


async def test_many_callers_at_once_never_get_the_same_job() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(40)))
    realms = [world.process(FaultyStack(world.stack)) for _ in range(4)]

    answers = await asyncio.gather(*(check_out([realms[n % 4]], count=3, lease=LEASE) for n in range(16)))

    ids = [job_id for held in answers for job_id in ids_of(held)]
    assert sorted(ids) == sorted(f"b-{n}" for n in range(40))


async def test_claims_of_one_call_go_out_together() -> None:
    world, meter = World(), Meter()
    await world.push(*(new_job(f"b-{n}") for n in ONE_SHARD))
    realm = world.process(FaultyStack(metered(world.stack, meter)))

    await check_out([realm], count=3, lease=LEASE)

    rows = 3  # of the checkouts, among those of the workers
    assert meter["table.commit"] == 2 + rows  # the first claim, and the others
    assert (meter["queue.receive"], meter["queue.send"], meter["queue.complete"]) == (1, 3, 3)


async def test_lowest_lane_comes_first_over_all_realms() -> None:
    world = World()
    other = World(world.stack, name="other", clock=world.clock)
    await world.push(new_job("b-1", lanes=("10",)), new_job("b-2", lanes=("2",)), new_job("b-3", lanes=("low",)))
    await other.push(new_job("b-4", lanes=("2",)), new_job("b-5", lanes=("3",)))

    realms = [other.realm, world.realm]
    first = await check_out(realms, count=4, lease=LEASE)
    last = await check_out(realms, count=4, lease=LEASE)

    assert [(one.realm, one.job.id) for one in first] == [
        ("other", "b-4"),
        (world.name, "b-2"),
        ("other", "b-5"),
        (world.name, "b-1"),
    ]
    assert [(one.job.id, one.lane) for one in last] == [("b-3", "low")]


async def test_lanes_above_the_highest_wanted_are_left() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("10",)), new_job("b-2", lanes=("2",)))

    held = await check_out([world.realm], count=5, lease=LEASE, max_lane="9")

    assert ids_of(held) == ["b-2"]


@pytest.mark.parametrize("lane", ["0", "*"])
async def test_nothing_is_taken_from_what_is_paused(lane: str) -> None:
    world = World()
    await world.push_one()
    await pause(world.realm, lane)

    assert await check_out([world.realm], lease=LEASE) == []


async def test_realm_that_was_never_used_has_nothing_and_is_not_made() -> None:
    world = World()

    assert await check_out([world.realm]) == []

    assert await world.stack.table.get("realms", world.name) is None


async def test_lane_without_a_queue_keeps_nobody_from_the_others() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0",)), new_job("b-2", lanes=("1",)))
    stack = MissingStack(world.stack, queue_name(world.name, "0"))

    held = await check_out([world.process(stack)], count=5, lease=LEASE)
    stack.missing.add(queue_name(world.name, "1"))

    assert ids_of(held) == ["b-2"]
    with pytest.raises(NotFound, match="there is no queue"):
        await check_out([world.process(stack)], lease=LEASE)


async def test_chunk_is_taken_apart_and_its_jobs_are_handed_out_one_by_one() -> None:
    world = World()
    ids = [f"b-{n}" for n in ONE_SHARD]
    await world.push(*map(new_job, ids), chunk=3)

    [first] = await check_out([world.realm], lease=LEASE)
    others = await check_out([world.realm], count=9, lease=LEASE)

    assert sorted([first.job.id, *ids_of(others)]) == sorted(ids)
    assert first.job.tries == {}
    await ack(world.realm, first.job.id, first.token)
    healthy = await go_on(world)
    assert healthy.started == {one.job.id: 1 for one in others}


async def test_job_whose_lease_has_ended_comes_back_and_the_loss_is_counted() -> None:
    world = World()
    await world.push_one()
    lost = await check_out_one(world.realm)
    assert await check_out([world.realm]) == []
    world.clock.move(by=LEASE + SECOND)

    held = await check_out_one(world.realm)

    assert (held.job.id, held.job.attempt, held.job.tries) == ("b-1", 2, {Reason.LOST: 1})
    before = await world.job("b-1")
    for say in (ack, nack, extend):
        with pytest.raises(LeaseLost, match="another one has it; nothing was changed"):
            await say(world.realm, "b-1", lost.token)
    assert await world.job("b-1") == before
    await ack(world.realm, "b-1", held.token)
    assert await world.state("b-1") is JobState.SUCCEEDED


async def test_job_that_is_lost_too_often_ends_as_failed() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(crashes=1)))
    for _ in range(2):
        await check_out_one(world.realm)
        world.clock.move(by=LEASE + SECOND)

    assert await check_out([world.realm], lease=LEASE) == []

    job = await world.job("b-1")
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.LOST, {Reason.LOST: 2})
    await assert_counts_equal_rows(world.realm)


async def test_cancelled_job_whose_lease_ended_is_not_handed_out_again() -> None:
    world = World()
    await world.push_one()
    await check_out_one(world.realm)
    await cancel(world.realm, "b-1")
    world.clock.move(by=LEASE)

    assert await check_out([world.realm]) == []

    assert await world.state("b-1") is JobState.CANCELLED


async def test_trouble_with_one_ticket_does_not_lose_the_answers_of_others() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(3)))
    stack = FaultyStack(world.stack)
    stack.break_at("queue.complete", Fault.REQUEST_LOST)

    held = await check_out([world.process(stack)], count=3, lease=LEASE)

    assert len(held) == 2
    [other] = await check_out([world.realm], count=3, lease=LEASE)
    assert other.job.id not in ids_of(held)
    assert (other.job.attempt, other.job.tries) == (1, {})  # nobody had it


@pytest.mark.parametrize("call", ["queue.receive", "queue.send", "queue.complete", "table.commit", "table.get"])
async def test_backend_in_trouble_is_not_an_empty_queue(call: str) -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    stack.break_at(call, Fault.REFUSED)

    with pytest.raises(Unreachable):
        await check_out([world.process(stack)], lease=LEASE)

    healthy = await go_on(world)
    assert healthy.started == {"b-1": 1}


async def test_jobs_of_an_interrupted_push_are_found_before_nothing_is_said_to_be_there() -> None:
    world = World()
    await dead_push(world, new_job("b-1"))
    world.clock.move(by=PATIENCE)

    assert ids_of(await check_out([world.realm], lease=LEASE)) == ["b-1"]


async def test_large_job_comes_with_its_payload_and_one_that_is_broken_ends() -> None:
    world = World()
    command = "x" * 50_000
    await world.push(new_job("b-1", command=command), new_job("b-2", command=command))
    await world.stack.blobs.delete((await world.job("b-2")).payload_blob)

    [held] = await check_out([world.realm], count=5, lease=LEASE)

    assert (held.job.id, held.job.spec.command) == ("b-1", command)
    assert (await extend(world.realm, "b-1", held.token)).job.spec.command == command
    job = await world.job("b-2")
    assert (job.state, job.reason) == (JobState.FAILED, Reason.UNDECODABLE)
    assert "is gone" in job.message
    await ack(world.realm, "b-1", held.token)
    assert not (await go_on(world)).started


async def test_what_makes_no_sense_is_refused() -> None:
    world = World()
    with pytest.raises(BadInput, match="ask for 1 or more"):
        await check_out([world.realm], count=0)
    with pytest.raises(BadInput, match="longer than zero"):
        await check_out([world.realm], lease=timedelta(0))


async def test_lease_is_the_callers_or_the_lanes_or_the_realms_or_ten_minutes() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}", lanes=(lane,)) for n, lane in enumerate("0011")))
    [usual] = await check_out([world.realm])
    await change_settings(world.realm, SettingsChange(lease=2 * LEASE, lane_leases={"1": 3 * LEASE}))

    *of_realm, own = await check_out([world.realm], count=2)
    asked = await check_out_one(world.realm, lease=4 * LEASE)
    extended = [await extend(world.realm, one.job.id, one.token) for one in (usual, own, asked)]

    assert [usual.lease, of_realm[0].lease, own.lease, asked.lease] == [LEASE, 2 * LEASE, 3 * LEASE, 4 * LEASE]
    assert [one.lease for one in extended] == [2 * LEASE, 3 * LEASE, 3 * LEASE]


async def test_nothing_is_taken_from_a_realm_that_is_being_deleted() -> None:
    world = World()
    await world.push_one()
    await delete_realm(world.realm)

    assert await check_out([world.realm]) == []
