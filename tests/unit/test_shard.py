"""Group commit and the counters that go with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from jobq.adapters.local import MemoryStack
from jobq.core.meter import Meter, metered
from jobq.core.ports import MAX_CHANGES, Change, Row, create
from jobq.core.rows import counts_of
from jobq.core.shard import ShardWriter
from jobq.core.sweep import FOLD_AFTER, sweep
from jobq.core.transition import Unit, move
from jobq.errors import Conflict, ReplyLost, Unreachable
from jobq.model.counts import Counts
from jobq.model.job import Job, JobState, Spec
from tests.proof.faults import Fault, FaultyStack
from tests.proof.world import REALM, World

JOB = Job("b-1", "b", Spec(command="true", tags=("t",)))
WHERE = f"{REALM}~{move(None, JOB).shard}"


class SlowTable:
    """Answers when it is told to."""

    def __init__(self, world: World) -> None:
        self.table = world.stack.table
        self.sizes: list[int] = []
        self._turns = asyncio.Semaphore(0)
        self.is_waiting = asyncio.Event()

    def let(self, count: int = 100) -> None:
        """So many commits go through, waiting ones first."""
        for _ in range(count):
            self._turns.release()

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        self.is_waiting.set()
        await self._turns.acquire()
        self.sizes.append(len(changes))
        return await self.table.commit(partition, changes)

    async def get(self, partition: str, key: str) -> Row | None:
        return await self.table.get(partition, key)

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        return await self.table.scan(partition, prefix, after=after, limit=limit, columns=columns)


def writer_on(world: World, table: SlowTable) -> ShardWriter:
    return ShardWriter(table, WHERE, world.realm.new_token, world.clock.now)


def created(number: int, **fields: object) -> Unit:
    return move(None, replace(JOB, id=f"b-x{number}", **fields))  # type: ignore[arg-type]  # fields of a job


async def counts(world: World) -> Counts:
    rows = await world.stack.table.scan(WHERE, "count~r~")
    return sum(map(counts_of, rows), Counts())


async def test_commits_that_wait_go_out_together() -> None:
    world = World()
    table = SlowTable(world)
    writer = writer_on(world, table)
    tasks = [asyncio.create_task(writer.commit(created(number))) for number in range(20)]
    await table.is_waiting.wait()
    await asyncio.sleep(0)

    table.let()
    etags = await asyncio.gather(*tasks)

    assert len(table.sizes) == 2
    assert all(len(own) == 2 for own in etags)
    assert await counts(world) == Counts(total=20)


async def test_group_never_has_over_a_hundred_changes() -> None:
    world = World()
    table = SlowTable(world)
    writer = writer_on(world, table)
    tags = tuple(f"tag {number}" for number in range(20))
    spec = Spec(command="true", tags=tags, lanes=tuple(map(str, range(10))))
    tasks = [asyncio.create_task(writer.commit(created(number, spec=spec))) for number in range(9)]

    table.let()
    await asyncio.gather(*tasks)

    assert max(table.sizes) <= MAX_CHANGES
    assert await counts(world) == Counts(total=9)


async def test_two_steps_of_one_row_never_share_a_transaction() -> None:
    world = World()
    table = SlowTable(world)
    writer = writer_on(world, table)
    first = asyncio.create_task(writer.commit(created(1)))
    await table.is_waiting.wait()
    same = [asyncio.create_task(writer.commit(created(2))) for _ in range(2)]
    await asyncio.sleep(0)

    table.let()
    await first
    done = await asyncio.gather(*same, return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in done) == ["Conflict", "list"]
    assert await counts(world) == Counts(total=2)


async def test_refused_member_does_not_spoil_the_others() -> None:
    world = World()
    await world.stack.table.commit(WHERE, [create("job~b-x3", {})])
    table = SlowTable(world)
    writer = writer_on(world, table)
    tasks = [asyncio.create_task(writer.commit(created(number))) for number in range(6)]

    table.let()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    [refused] = [answer for answer in done if isinstance(answer, Conflict)]
    assert refused is done[3]
    assert refused.index == 0
    assert await counts(world) == Counts(total=5)


async def test_cancelled_leader_leaves_the_others_unsure_and_the_shard_usable() -> None:
    world = World()
    table = SlowTable(world)
    writer = writer_on(world, table)
    leader = asyncio.create_task(writer.commit(created(0)))
    await table.is_waiting.wait()
    others = [asyncio.create_task(writer.commit(created(number))) for number in (1, 2)]
    await asyncio.sleep(0)

    leader.cancel()
    await asyncio.sleep(0)
    table.let()
    etags = await asyncio.gather(*others)

    assert leader.cancelled()
    assert len(etags) == 2
    assert await counts(world) == Counts(total=2)


async def test_cancelled_leader_of_a_group_tells_its_members_that_the_reply_is_lost() -> None:
    world = World()
    table = SlowTable(world)
    writer = writer_on(world, table)
    first = asyncio.create_task(writer.commit(created(0)))
    await table.is_waiting.wait()
    leader, member = (asyncio.create_task(writer.commit(created(number))) for number in (1, 2))
    await asyncio.sleep(0)
    table.let(1)
    await first
    await asyncio.sleep(0)

    leader.cancel()

    with pytest.raises(ReplyLost):
        await member
    table.let()
    assert await writer.commit(created(3))
    assert await counts(world) == Counts(total=2)


async def test_commit_whose_caller_was_cancelled_is_not_sent_again_behind_its_back() -> None:
    """Its group is refused because of another member; the rest goes again without it."""
    world = World()
    await world.stack.table.commit(WHERE, [create("job~b-x1", {})])
    table = SlowTable(world)
    writer = writer_on(world, table)
    first = asyncio.create_task(writer.commit(created(0)))
    await table.is_waiting.wait()
    refused, cancelled, kept = (asyncio.create_task(writer.commit(created(number))) for number in (1, 2, 3))
    await asyncio.sleep(0)
    table.let(1)
    await first
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.sleep(0)
    table.let()
    await asyncio.gather(refused, cancelled, kept, return_exceptions=True)

    assert await world.stack.table.get(WHERE, "job~b-x2") is None
    assert await counts(world) == Counts(total=2)


async def test_writer_takes_a_new_id_when_its_counters_were_folded() -> None:
    world = World()
    await world.realm.commit(created_in(world, 0))
    world.clock.move(by=FOLD_AFTER * 2)
    await sweep(world.realm)

    await world.realm.commit(created_in(world, 1))

    rows = await world.stack.table.scan(WHERE, "count~r~")
    assert len(rows) == 2
    assert "count~r~folded" in [row.key for row in rows]
    assert await counts(world) == Counts(total=2)


async def test_writer_reads_nothing_and_writes_one_row_for_each_label() -> None:
    world, meter = World(), Meter()
    realm = world.process(metered(world.stack, meter))

    for number in range(5):
        await realm.commit(created_in(world, number))

    assert meter == {"table.commit": 5}
    rows = await world.stack.table.scan(WHERE, "count~")
    assert [row.key.split("~")[1] for row in rows] == ["bb", "l0", "r", "tt"]
    assert [row.values.get("name") for row in rows] == ["b", "0", None, "t"]


def created_in(world: World, number: int) -> Unit:
    """A new job of the shard that these tests look at."""
    return replace(created(number), shard=move(None, JOB).shard)


FAULTS = [None, Fault.REFUSED, Fault.REPLY_LOST, Fault.REQUEST_LOST, Fault.LATE]


@pytest.mark.parametrize("faults", list(product(FAULTS, repeat=2)), ids=str)
@pytest.mark.parametrize("folds", list(product([False, True], repeat=3)), ids=str)
async def test_counts_equal_rows_whatever_is_lost_or_folded(
    faults: tuple[Fault | None, ...], folds: tuple[bool, ...]
) -> None:
    world = World()
    stack = FaultyStack(MemoryStack(world.clock.seconds))
    realm = world.process(stack)
    world.stack = stack
    sweeper = world.process(stack)
    for number, (fault, is_folded) in enumerate(zip((None, *faults), folds, strict=True)):
        stack.break_next(fault)
        await settle(realm.commit(created_in(world, number)))
        stack.break_next(None)
        world.clock.move(by=FOLD_AFTER * (2 if is_folded else 0))
        await sweep(sweeper)
    await realm.commit(created_in(world, 9))
    await stack.be_late()

    jobs = await stack.table.scan(WHERE, "job~")
    assert await counts(world) == Counts(total=len(jobs))


async def settle(commit: object) -> None:
    try:
        await commit  # type: ignore[misc]  # a coroutine
    except Unreachable:
        return


async def test_late_request_of_a_lost_reply_is_refused_once_the_caller_went_on() -> None:
    world = World()
    await world.push_one()
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    job = await world.job("b-1")
    stack.break_next(Fault.LATE)
    with pytest.raises(ReplyLost):
        await realm.commit(move(job, job.moved_to(JobState.FAILED)))

    await world.realm.commit(move(job, job.moved_to(JobState.CANCELLED)))
    await stack.be_late()

    assert await world.state("b-1") is JobState.CANCELLED


async def test_group_that_cannot_be_sent_fails_all_its_members() -> None:
    world = World()
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    first = asyncio.create_task(realm.commit(created_in(world, 0)))
    stack.break_next(Fault.REFUSED, skip=1)

    done = await asyncio.gather(first, *(realm.commit(created_in(world, n)) for n in (1, 2)), return_exceptions=True)

    assert [type(answer) for answer in done] == [list, Unreachable, Unreachable]
    assert await counts(world) == Counts(total=1)
