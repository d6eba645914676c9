"""What sweeps write down of a realm's past: whoever sweeps, how often, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from jobq.core.erase import delete_realm, erase
from jobq.core.history import history, record
from jobq.core.meter import Meter, metered
from jobq.core.operate import remove, retry
from jobq.core.ports import Change, Row, Stack
from jobq.core.realm import CLOSED_FOR, Realm
from jobq.core.rows import history_partition
from jobq.core.summary import summary
from jobq.core.sweep import FOLD_AFTER, sweep
from jobq.core.together import together
from jobq.core.workers import WorkerRow, worker_rows
from jobq.errors import JobqError
from jobq.model.job import JobState
from jobq.model.series import Range
from tests.proof.actors import FAILED, OK, PREEMPTED, Worker, always
from tests.proof.faults import Fault, FaultyStack
from tests.proof.world import World, jobs_in, new_job

MINUTE = timedelta(minutes=1)


async def counters(realm: Realm) -> list[list[Row]]:
    return await together(realm.shard_scans("count~"))


async def cost(world: World) -> Meter:
    """Of what a sweep writes down."""
    meter = Meter()
    await record(world.process(metered(world.stack, meter)), await counters(world.realm), [])
    return meter


async def came(world: World, name: str = "succeeded", back: Range = Range.HOUR) -> list[int]:
    return [getattr(point.numbers, name) for point in (await history(world.realm, back)).points]


async def test_what_ends_and_what_waits_is_written_down_by_each_sweep() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(9)))
    await sweep(world.realm)
    for outcome in (OK, FAILED, PREEMPTED):
        await Worker(world, world.process(), always(outcome)).work(limit=2)
        await WorkerRow(world.process(), f"w-{outcome.reason}", 1).beat([], believe=timedelta(hours=1))
        world.clock.move(by=MINUTE)
        await sweep(world.process())

    assert await came(world) == [2, 0, 0]
    assert await came(world, "failed") == [0, 2, 0]
    assert await came(world, "preempted") == [0, 0, 2]
    assert await came(world, "waiting") == [7, 5, 5]
    assert await came(world, "workers") == [1, 2, 3]


async def test_all_that_was_done_before_the_first_sweep_is_shown() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(6)))
    await Worker(world, world.process(), always(OK)).work(limit=6)
    world.clock.move(by=MINUTE)
    await sweep(world.realm)

    assert await came(world) == [6]
    found = await summary(world.realm)
    assert (found.per_minute["succeeded"], found.batches[0].pace.per_minute) == (6, 6)


async def test_retry_and_removal_take_nothing_back_of_the_past() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(4)))
    await sweep(world.realm)
    await Worker(world, world.process(), always(FAILED)).work(limit=3)
    await Worker(world, world.process(), always(OK)).work(limit=1)
    world.clock.move(by=MINUTE)
    await sweep(world.realm)

    for job in (await jobs_in(world.realm)).values():
        await (remove(world.realm, job.id) if job.state is JobState.SUCCEEDED else retry(world.realm, job.id))
    world.clock.move(by=2 * FOLD_AFTER)
    await sweep(world.realm)

    assert (await came(world), await came(world, "failed")) == ([1, 0], [3, 0])


async def test_two_sweeps_at_once_count_everything_once() -> None:
    """One of them reads, is held up, and writes when the other one has."""
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(9)))
    await sweep(world.realm)
    await Worker(world, world.process(), always(OK)).work(limit=3)
    world.clock.move(by=MINUTE)
    old = await counters(world.realm)
    await Worker(world, world.process(), always(OK)).work(limit=2)

    async def overtake() -> None:
        await record(world.process(), await counters(world.realm), [])

    await record(world.process(Overtaken(world.stack, overtake)), old, [])
    world.clock.move(by=MINUTE)
    await sweep(world.realm)

    assert await came(world) == [5, 0]


async def test_sweep_that_could_not_write_it_down_leaves_it_to_the_next_one() -> None:
    for fault in (Fault.REFUSED, Fault.REPLY_LOST, Fault.REQUEST_LOST):
        world = World()
        await world.push(*(new_job(f"b-{n}") for n in range(9)))
        await sweep(world.realm)
        for _ in range(3):
            await Worker(world, world.process(), always(OK)).work(limit=1)
            world.clock.move(by=MINUTE)
            stack = FaultyStack(world.stack)
            stack.break_at("table.commit", fault)
            with suppress(JobqError):
                await record(world.process(stack), await counters(world.realm), [])
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
        await sweep(world.realm)

        assert sum(await came(world)) == 3


async def test_quiet_realm_costs_a_read_and_one_that_was_never_used_nothing() -> None:
    world = World()
    assert await cost(world) == {}
    await world.push(new_job("b-1"))
    assert await cost(world) == {"table.scan": 1, "table.commit": 1}
    for _ in range(11):
        world.clock.move(by=MINUTE)
        await cost(world)

    costs = Meter()
    for _ in range(7 * 60):
        world.clock.move(by=MINUTE)
        costs += await cost(world)

    assert costs == {"table.scan": 7 * 60, "table.commit": 3}  # ten minutes, an hour and six hours had still to end


async def test_each_range_has_its_steps_in_the_same_five_rows() -> None:
    world = World()
    await world.push(new_job("b-1"))
    await WorkerRow(world.realm, "w", 1).beat([], believe=timedelta(days=90))
    counted, workers = await counters(world.realm), await worker_rows(world.realm)
    for minutes in (6 * 60, 60, 10, 1):
        for _ in range(20):
            world.clock.move(by=minutes * MINUTE)
            await record(world.realm, counted, workers)

    assert len(await world.stack.table.scan(history_partition(world.name), "")) == 5
    assert [len((await history(world.realm, back)).points) for back in Range] == [24, 25, 43, 43, 23]


async def test_deleted_realm_takes_its_history_along() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(9)))
    for _ in range(3):
        await Worker(world, world.process(), always(OK)).work(limit=1)
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
    assert await came(world) == [2, 1]

    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.process())

    assert await world.stack.table.scan(history_partition(world.name), "") == []


class Overtaken:
    """Before a commit to the history, somebody else is let through."""

    def __init__(self, stack: Stack, first: Any) -> None:
        self._stack = stack
        self._first = first
        self.table = self

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        await self._first()
        return await self._stack.table.commit(partition, changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack if hasattr(self._stack, name) else self._stack.table, name)
