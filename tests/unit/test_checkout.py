"""Jobs leased to callers: taken, said to be done, given back, held for longer; and what becomes of the forgotten."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobq.core.checkout import CHECKOUT, ack, check_out, extend, nack
from jobq.core.erase import delete_realm
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel
from jobq.core.outbox import PATIENCE
from jobq.core.pause import pause
from jobq.core.payload import result_of
from jobq.core.realm_settings import SettingsChange, change_settings
from jobq.core.sweep import sweep
from jobq.errors import BadInput, LeaseLost, NotFound, Unreachable
from jobq.model.job import JobState, Limits, Reason
from jobq.model.names import queue_name
from jobq.model.retry import Backoff
from jobq.model.wire import MAX_RESULT_BYTES
from tests.proof.actors import Worker, go_on
from tests.proof.callers import check_out_one, ids_of
from tests.proof.faults import Fault, FaultyStack
from tests.proof.missing import MissingStack
from tests.proof.scenarios import ONE_SHARD, dead_push
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job, outbox_rows

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


async def test_what_is_left_of_an_acknowledged_checkout_goes_when_its_lease_ends() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)
    await ack(world.realm, "b-1", held.token)

    healthy = await go_on(world)

    assert not healthy.started
    assert await world.queue().depth() == 0


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


async def test_large_result_is_kept_in_a_blob_and_one_beyond_the_limit_is_refused() -> None:
    world = World()
    await world.push_one()
    held = await check_out_one(world.realm)

    with pytest.raises(BadInput, match="put it in a file or blob"):
        await ack(world.realm, "b-1", held.token, result="x" * MAX_RESULT_BYTES)
    job = await ack(world.realm, "b-1", held.token, result="x" * 50_000)

    assert job.result_blob
    assert await result_of(world.realm, await world.job("b-1")) == "x" * 50_000


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
