"""Push: what is stored, which tickets are sent, and what becomes of jobs that are there already."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.adapters.sqlite_queue import SqliteQueue
from jobq.core import outbox
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel
from jobq.core.payload import with_payload
from jobq.core.ports import MAX_CHANGES
from jobq.core.push import Push
from jobq.errors import BadInput, NotFound, Unreachable
from jobq.model.job import IfExists, JobState, Limits, NewJob, Pushed, PushStatus, Spec
from jobq.model.names import id_in_batch, shard_of
from jobq.model.ticket import Ticket, decode_ticket
from tests.proof.actors import FAILED, Worker, always, go_on
from tests.proof.faults import Fault, FaultyStack
from tests.proof.missing import MissingStack
from tests.proof.scenarios import ONE_SHARD, dead_push
from tests.proof.world import World, assert_counts_equal_rows, jobs_in, new_job, outbox_rows

MINUTE = timedelta(minutes=1)
STORAGE_BYTES = 45_000


async def tickets(world: World, lane: str = "0") -> list[Ticket]:
    """All that can be received now; they come back within a minute."""
    found: list[Ticket] = []
    while deliveries := await world.queue(lane).receive(32, lease=MINUTE):
        found += [decode_ticket(delivery.body) for delivery in deliveries]
    return found


def ids(found: Sequence[Ticket]) -> list[str]:
    return [entry.job_id for ticket in found for entry in ticket.entries]


def numbered(count: int, **options: object) -> list[NewJob]:
    return [new_job(id_in_batch("b", n), **options) for n in range(1, count + 1)]  # type: ignore[arg-type]  # options


def statuses(answers: Sequence[Pushed]) -> list[str]:
    return [answer.status.value for answer in answers]


async def test_push_answers_for_each_job_in_order() -> None:
    world = World()
    await world.push(new_job("b-2"))

    answers = await world.push(new_job("b-3"), new_job("b-2"), new_job("b-1"))

    assert [(answer.id, answer.status) for answer in answers] == [
        ("b-3", PushStatus.QUEUED), ("b-2", PushStatus.EXISTS), ("b-1", PushStatus.QUEUED),
    ]  # fmt: skip
    assert await outbox_rows(world.realm) == 0
    await assert_counts_equal_rows(world.realm)


async def test_tickets_of_a_lane_leave_in_push_order() -> None:
    world = World()
    jobs = numbered(120)
    await world.push(*jobs)

    assert ids(await tickets(world)) == [job.id for job in jobs]


async def test_tickets_leave_in_push_order_over_several_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.core.push.WINDOW", 7)
    world = World()
    jobs = numbered(40)
    await world.push(*jobs)

    assert ids(await tickets(world)) == [job.id for job in jobs]


async def test_job_has_a_ticket_in_each_of_its_lanes() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("2", "low")), new_job("b-2", lanes=("low",)))

    assert ids(await tickets(world, "2")) == ["b-1"]
    assert ids(await tickets(world, "low")) == ["b-1", "b-2"]
    assert await world.realm.lanes() == ["2", "low"]


async def test_chunk_holds_jobs_of_one_shard_up_to_its_size() -> None:
    world = World()
    await world.push(*numbered(100), chunk=5)

    found = await tickets(world)
    assert sorted(ids(found)) == [job.id for job in numbered(100)]
    assert max(len(ticket.entries) for ticket in found) == 5
    assert all(len({shard_of(entry.job_id) for entry in ticket.entries}) == 1 for ticket in found)
    assert len(found) < 30


async def test_ticket_never_takes_more_bytes_than_a_message_does(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(SqliteQueue, "limits", replace(SqliteQueue.limits, max_body_bytes=STORAGE_BYTES))
    tags = tuple(f"{number:02}" + "\N{SNOWMAN}" * 66 for number in range(20))
    big = [new_job(id_in_batch("b", n), command="x" * 29_900, tags=tags) for n in range(4)]
    small = [new_job(id_in_batch("c", n), command="y" * 3000) for n in range(200)]

    await world.push(*big, *small, chunk=50)

    sizes = []
    while deliveries := await world.queue().receive(32, lease=MINUTE):
        sizes += [len(delivery.body) for delivery in deliveries]
    assert len(sizes) > 10
    assert max(sizes) <= STORAGE_BYTES


async def test_group_is_cut_at_a_hundred_changes_with_all_tags_and_lanes() -> None:
    world, meter = World(), Meter()
    tags = tuple(f"tag {number}" for number in range(20))
    lanes = tuple(map(str, range(10)))
    realm = world.process(metered(world.stack, meter))
    jobs = numbered(40, tags=tags, lanes=lanes)

    await Push(realm, "b").run(jobs)

    await assert_counts_equal_rows(world.realm)
    assert meter["table.commit"] >= 40 * 21 / MAX_CHANGES
    assert len(await tickets(world, "9")) == 40


async def test_commits_of_a_large_push_carry_many_jobs_each() -> None:
    world, meter = World(), Meter()
    realm = world.process(metered(world.stack, meter))

    await Push(realm, "b").run(numbered(800, tags=("t",)))

    assert meter["table.commit"] <= 2 * 24 + 1
    assert meter["queue.send"] == 1


async def test_large_payload_lies_in_a_blob_and_reads_back() -> None:
    world = World()
    spec = Spec(command="x" * 100_000, env={"SEED": "1"}, tags=("t",))
    await world.push(NewJob("b-1", spec))

    stored = await world.job("b-1")
    assert stored.spec.command is None
    assert stored.payload_blob
    assert (await with_payload(world.realm, stored)).spec == spec
    [ticket] = await tickets(world)
    assert ticket.entries[0].job is None


async def test_blob_of_a_large_payload_that_is_gone_is_bad_input() -> None:
    world = World()
    await world.push(new_job("b-1", command="x" * 100_000))
    job = await world.job("b-1")
    await world.stack.blobs.delete(job.payload_blob)

    with pytest.raises(BadInput, match="is gone"):
        await with_payload(world.realm, job)


async def test_id_that_comes_twice_in_a_push_is_refused_before_anything_is_stored() -> None:
    world = World()
    with pytest.raises(BadInput, match="job 3 has the id 'b-1' of job 1"):
        await world.push(new_job("b-1"), new_job("b-2"), new_job("b-1"))
    assert await jobs_in(world.realm) == {}


@pytest.mark.parametrize("chunk", [0, 1001])
async def test_chunk_out_of_range_is_refused(chunk: int) -> None:
    with pytest.raises(BadInput, match="1 to 1000"):
        await World().push(new_job("b-1"), chunk=chunk)


async def test_ids_of_two_hundred_bytes_are_hashed_in_keys_and_work() -> None:
    world = World()
    names = ["é" * 99 + str(number) for number in range(3)]
    await world.push(*(new_job(name, tags=("t" * 200, "ü" * 100)) for name in names))

    await Worker(world, world.realm, always(FAILED)).work()

    jobs = await assert_counts_equal_rows(world.realm)
    assert sorted(jobs) == names
    assert {job.state for job in jobs.values()} == {JobState.FAILED}


async def existing(world: World) -> None:
    """A failed job, a cancelled one, a running one and a queued one."""
    await world.push(*(new_job(f"b-{number}", tags=("old",)) for number in range(1, 5)))
    await Worker(world, world.realm, always(FAILED)).work(limit=1)
    await cancel(world.realm, "b-2")
    await world.queue().receive(1, lease=MINUTE)
    [delivery] = await world.queue().receive(1, lease=MINUTE)
    await Worker(world, world.realm).take("0", delivery)


@pytest.mark.parametrize(
    ("if_exists", "answers"),
    [
        (IfExists.SKIP, ["exists", "exists", "exists", "exists", "queued"]),
        (IfExists.ERROR, ["refused", "refused", "refused", "refused", "queued"]),
        (IfExists.RERUN_FAILED, ["queued", "queued", "exists", "exists", "queued"]),
        (IfExists.REPLACE, ["queued", "queued", "refused", "queued", "queued"]),
    ],
)
async def test_jobs_that_are_there_are_met_as_the_push_says(if_exists: IfExists, answers: list[str]) -> None:
    world = World()
    await existing(world)

    jobs = [new_job(f"b-{number}", tags=("new",), command="new") for number in range(1, 6)]
    assert statuses(await world.push(*jobs, if_exists=if_exists)) == answers

    assert await outbox_rows(world.realm) == 0
    await assert_counts_equal_rows(world.realm)
    world.clock.move(by=MINUTE * 11)
    healthy = await go_on(world)
    assert set(healthy.started.values()) == {1}


async def test_replaced_job_runs_what_it_was_replaced_by() -> None:
    world = World()
    await world.push(new_job("b-1", tags=("old",)))

    await world.push(new_job("b-1", tags=("new",), command="new"), if_exists=IfExists.REPLACE)

    job = await world.job("b-1")
    assert (job.spec.command, job.spec.tags) == ("new", ("new",))
    worker = Worker(world, world.realm)
    await worker.work()
    assert worker.started == {"b-1": 1}


async def test_failed_job_with_twenty_tags_is_replaced_by_one_with_twenty_others() -> None:
    """Together that is more than a transaction takes."""
    world = World()
    await world.push(new_job("own", tags=tuple(f"old{n}" for n in range(20)), lanes=tuple(map(str, range(10)))))
    await Worker(world, world.realm, always(FAILED)).work()

    tags, lanes = tuple(f"new{n}" for n in range(20)), tuple(map(str, range(10, 20)))
    answers = await world.push(new_job("own", tags=tags, lanes=lanes), batch="c", if_exists=IfExists.REPLACE)

    assert statuses(answers) == ["queued"]
    jobs = await assert_counts_equal_rows(world.realm)
    assert jobs["own"].spec.tags == tags


async def test_rerun_keeps_the_log_of_each_attempt_apart() -> None:
    world = World()
    await world.push(new_job("b-1"))
    await Worker(world, world.realm, always(FAILED)).work()

    await world.push(new_job("b-1"), if_exists=IfExists.RERUN_FAILED)
    await Worker(world, world.realm).work()

    assert (await world.job("b-1")).attempt == 2


async def test_repeated_push_sends_what_an_interrupted_one_owes() -> None:
    world = World()
    await dead_push(world, new_job("b-1"), new_job("b-2"))
    assert (await world.queue().look(0)).messages == 0

    answers = await world.push(new_job("b-1"), new_job("b-2"), new_job("b-3"))

    assert statuses(answers) == ["exists", "exists", "queued"]
    assert sorted(ids(await tickets(world))) == ["b-1", "b-2", "b-3"]
    assert await outbox_rows(world.realm) == 0


async def test_push_that_meets_queued_jobs_does_not_send_its_own_tickets_twice() -> None:
    world = World()
    first, second = (f"b-{number}" for number in ONE_SHARD[:2])
    await world.push(new_job(first))

    await world.push(new_job(first), new_job(second))

    assert sorted(ids(await tickets(world))) == sorted([first, second])


async def test_push_whose_reply_was_lost_finds_its_own_rows_and_sends_their_tickets() -> None:
    world = World()
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    await realm.open_lanes(["0"])
    stack.break_next(Fault.REPLY_LOST)

    answers = await Push(realm, "b").run([new_job("b-1")])

    assert statuses(answers) == ["queued"]
    assert ids(await tickets(world)) == ["b-1"]
    await assert_counts_equal_rows(world.realm)


async def test_push_repeated_under_its_name_answers_queued_and_leaves_a_waiting_retry_alone() -> None:
    """The client did not get the answer of the first try; meanwhile the job has failed and waits for its retry."""
    world = World()
    jobs = [new_job("b-1", limits=Limits(retries=1))]
    await Push(world.realm, "b", token="same").run(jobs)
    await Worker(world, world.realm, always(FAILED)).work()

    answers = await Push(world.process(), "b", token="same").run(jobs)

    assert statuses(answers) == ["queued"]
    assert await tickets(world) == []
    world.clock.move(by=MINUTE)
    await Worker(world, world.realm, always(FAILED)).work()
    assert await world.state("b-1") is JobState.FAILED


async def test_lost_send_is_an_error_and_loses_nothing() -> None:
    world = World()
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    await realm.open_lanes(["0"])

    stack.break_next(Fault.REFUSED, skip=1)
    with pytest.raises(Unreachable):
        await Push(realm, "b").run([new_job("b-1")])

    assert await outbox_rows(world.realm) == 1
    world.clock.move(by=outbox.PATIENCE)
    assert await outbox.repair_all(world.realm) == 1
    assert ids(await tickets(world)) == ["b-1"]


async def test_push_to_a_lane_without_a_queue_stores_nothing() -> None:
    world = World()
    realm = world.process(MissingStack(world.stack, f"{world.name}-lane-9"))

    with pytest.raises(NotFound, match="there is no queue proof-lane-9"):
        await Push(realm, "b").run([new_job("b-1"), new_job("b-2", lanes=("0", "9"))])

    assert await realm.find_all(["b-1", "b-2"]) == [None, None]
    assert await world.realm.lanes() == ["0"]


async def test_push_is_not_held_up_by_what_another_could_not_send() -> None:
    # Given jobs that wait, of one shard, whose tickets were never sent; one in a lane whose queue is gone
    world = World()
    first, second = (f"b-{number}" for number in ONE_SHARD[:2])
    await dead_push(world, new_job(first))
    await dead_push(world, new_job(second, lanes=("9",)))
    realm = world.process(MissingStack(world.stack, f"{world.name}-lane-9"))

    answers = await Push(realm, "b").run([new_job(first)])

    assert statuses(answers) == ["exists"]
    assert ids(await tickets(world)) == [first]


async def test_two_pushes_of_the_same_jobs_at_once_create_each_once() -> None:
    world = World()
    jobs = numbered(50, tags=("t",))
    stacks = [FaultyStack(world.stack) for _ in range(2)]

    both = await asyncio.gather(*(Push(world.process(stack), "b").run(jobs) for stack in stacks))

    for one, other in zip(*both, strict=True):
        assert sorted([one.status.value, other.status.value]) == ["exists", "queued"]
    await assert_counts_equal_rows(world.realm)
    healthy = await go_on(world)
    assert healthy.started == {job.id: 1 for job in jobs}
