"""Deleting a realm: what goes, in which order, and when its name can be used again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.api import RealmApi, list_realms
from jobq.core.checkout import ack, check_out, extend, nack
from jobq.core.erase import delete_realm, erase
from jobq.core.ports import create
from jobq.core.realm import CLOSED_FOR, Realm
from jobq.core.realm_settings import SettingsChange, change_settings, settings_of
from jobq.core.rows import workers_partition
from jobq.core.status import realm_status
from jobq.core.sweep import INTERVAL, Swept, repair_orphans, sweep, sweep_if_due
from jobq.core.workers import Asked, WorkerRow, live_workers
from jobq.errors import LeaseLost
from jobq.model.job import NewJob, Spec
from tests.proof.actors import FAILED, Worker, always, go_on
from tests.proof.scenarios import Scenario, dead_push
from tests.proof.world import LEASE, World, assert_counts_equal_rows, jobs_in, new_job

HOUR = timedelta(hours=1)


async def full_realm(world: World) -> None:
    """Of everything that a realm can have, something."""
    large = [new_job(f"b-{n}", tags=("t", f"t{n}"), command="x" * 40_000) for n in range(1, 4)]
    await world.push(*large, new_job("own", lanes=("0", "2")), *(new_job(f"b-{n}") for n in range(10, 40)))
    await Worker(world, world.process(), always(FAILED)).work(limit=2)
    await dead_push(world, new_job("b-7"))
    await world.realm.stack.blobs.put(f"file/{world.name}/202601-{'0' * 64}", b"piece")
    await world.realm.stack.blobs.append(f"log/{world.name}/own/1", b"output")
    await world.realm.stack.blobs.put(f"checkpoint/{world.name}/own/000001/manifest", b"{}")
    await world.realm.stack.blobs.put(f"result/{world.name}/claim", b"1")
    await WorkerRow(world.process(), "gone", 1).beat([], believe=timedelta(minutes=1))
    await sweep_if_due(world.realm, "gone")


async def rows_of(realm: Realm) -> list[str]:
    places = [f"{realm.name}~{n}" for n in range(8)] + [
        f"{realm.name}~{what}" for what in ("workers", "history", "sweep")
    ]
    return [row.key for place in places for row in await realm.stack.table.scan(place, "")]


async def is_gone(world: World) -> bool:
    blobs = [key for key in await world.stack.blobs.list("") if key.split("/")[1] == world.name]
    depths = [(await world.queue(lane).look(0)).messages for lane in ("0", "2")]
    return (await rows_of(world.realm), blobs, depths) == ([], [], [0, 0]) and await world.realm.row() is None


async def test_deleted_realm_goes_with_all_that_is_in_it_when_everybody_knows_of_it() -> None:
    world = World()
    await full_realm(world)
    await delete_realm(world.realm)

    assert not await erase(world.realm)
    world.clock.move(by=CLOSED_FOR - timedelta(seconds=1))
    assert not await erase(world.realm)
    assert (await list_realms(world.realm))["realms"] == ["proof"]
    assert await jobs_in(world.realm) == {}

    world.clock.move(by=timedelta(seconds=1))
    assert await erase(world.process())
    assert await is_gone(world)
    assert await erase(world.realm)  # and again is fine


async def test_realms_whose_names_begin_alike_keep_what_is_theirs() -> None:
    world, other = World(name="exp"), World(name="exp-2")
    other.stack, other.clock = world.stack, world.clock
    other.realm = other.process()
    await full_realm(world)
    await full_realm(other)
    before = (
        await rows_of(other.realm),
        await other.stack.blobs.list("log/exp-2/"),
        (await other.queue().look(0)).messages,
    )

    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.realm)

    assert await is_gone(world)
    assert (
        await rows_of(other.realm),
        await other.stack.blobs.list("log/exp-2/"),
        (await other.queue().look(0)).messages,
    ) == before
    await assert_counts_equal_rows(other.realm)


async def test_what_is_pushed_by_a_process_that_has_not_noticed_goes_too() -> None:
    world = World()
    await world.push_one()
    await delete_realm(world.process())
    await erase(world.process())
    await world.push(new_job("b-2", command="x" * 40_000))

    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.process())
    assert await is_gone(world)


async def test_erase_leaves_a_realm_that_nobody_has_deleted() -> None:
    world = World()
    await world.push_one()
    assert await erase(world.realm)
    assert list(await jobs_in(world.realm)) == ["b-1"]


async def test_first_use_after_a_while_erases_what_is_left_and_makes_the_realm_anew() -> None:
    world = World()
    await full_realm(world)
    await change_settings(world.realm, SettingsChange(lease=HOUR))
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)

    await world.push(new_job("b-1", tags=("new",)), new_job("own"))

    assert (await settings_of(world.realm)).lease is None
    assert await world.realm.lanes() == ["0"]
    jobs = await assert_counts_equal_rows(world.realm)
    assert sorted(jobs) == ["b-1", "own"]
    assert await world.stack.blobs.list("") == []
    healthy = await go_on(world)
    assert healthy.started == {"b-1": 1, "own": 1}


async def test_process_of_the_old_realm_serves_the_new_one() -> None:
    """It knows the lanes, and has counter rows, of a realm that is gone."""
    world = World()
    old = world.realm
    await world.push(new_job("b-1"), new_job("b-2", lanes=("2",)))
    await delete_realm(world.process())
    world.clock.move(by=CLOSED_FOR)
    world.realm = world.process()
    await world.push(new_job("b-1"))

    world.realm = old
    await world.push(new_job("b-3"))
    await world.push(new_job("b-2", lanes=("2",)))

    assert await world.realm.lanes() == ["0", "2"]
    await assert_counts_equal_rows(world.realm)
    assert (await realm_status(world.realm)).realm.counts.total == 3


async def test_files_that_are_stored_first_are_not_taken_for_those_of_the_realm_that_goes() -> None:
    world = World()
    await full_realm(world)
    await delete_realm(world.process())
    world.clock.move(by=CLOSED_FOR)
    name = "202601-2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

    await RealmApi(world.realm).put_files({name: lambda: b"hello"})
    await world.push(NewJob("b-1", Spec(command="true", files=name)))

    assert await RealmApi(world.process()).get_file(name) == b"hello"


async def test_sweeper_carries_a_deletion_on_and_does_nothing_else_there() -> None:
    world = World()
    await full_realm(world)
    await delete_realm(world.process())

    swept = await sweep(world.realm)
    assert (swept, swept.is_clean) == (Swept(is_deleting=True), False)  # so it is looked after again soon
    assert await jobs_in(world.realm) == {}
    assert await repair_orphans(world.realm) == 0
    world.clock.move(by=CLOSED_FOR + INTERVAL)
    assert await sweep_if_due(world.realm, "timer") == Swept()
    assert await is_gone(world)


async def test_erase_is_bounded_and_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.core.erase.ROUNDS", 2)
    monkeypatch.setattr("jobq.core.erase.MOST_TICKETS", 8)
    monkeypatch.setattr("jobq.core.erase.MOST_BLOBS", 3)
    world = World()
    await full_realm(world)
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)

    calls = 1
    while not await erase(world.process()):
        calls += 1

    assert calls > 3
    assert await is_gone(world)


async def test_what_runs_is_stopped_and_its_late_end_brings_nothing_back() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1", tags=("t",)), new_job("b-2"))
    holder, held = await scenario.hold()
    row = WorkerRow(holder.realm, "holder", 1)
    await row.beat(held.jobs, believe=LEASE)
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)

    # While it runs the realm's row stays, and its worker is told
    assert not await erase(world.realm)
    assert await row.beat(held.jobs, believe=LEASE) == Asked(cancel=(held.jobs[0].id,))
    assert not await erase(world.realm)

    # When it has ended, and says so late, nothing comes back
    await holder.run(held)
    await row.beat([], believe=LEASE)
    assert await jobs_in(world.realm) == {}
    assert await erase(world.realm)
    assert await is_gone(world)
    await row.beat([], believe=LEASE)  # the worker goes on, and knows nothing of it
    assert [worker.id for worker in await live_workers(world.realm)] == ["holder"]
    await row.leave()
    assert await is_gone(world)


async def test_worker_that_is_gone_and_checkouts_hold_a_deletion_up_for_an_hour_at_most() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1"))
    _, held = await scenario.hold()
    await WorkerRow(world.process(), "dead", 1).beat(held.jobs, believe=timedelta(days=7))
    await WorkerRow(world.process(), "checkout-token", 1).beat(held.jobs, believe=timedelta(days=7))
    await delete_realm(world.realm)

    world.clock.move(by=CLOSED_FOR)
    assert not await erase(world.realm)
    world.clock.move(by=HOUR)
    assert await erase(world.realm)
    assert await rows_of(world.realm) == []


class Overtaken:
    """A table on which, after this eraser has looked, another one ends the deletion, and the realm is used again."""

    def __init__(self, world: World, at: int) -> None:
        self._world, self._at, self.looks = world, at, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._world.stack.table, name)

    async def scan(self, partition: str, prefix: str, **options: object) -> object:
        rows = await self._world.stack.table.scan(partition, prefix, **options)  # type: ignore[arg-type]  # as it came
        self.looks += 1
        if self.looks == self._at:
            assert await erase(self._world.process())
            self._world.realm = self._world.process()
            await self._world.push(*(new_job(f"b-{n}", command="x" * 40_000) for n in range(1, 30)))
        return rows


@pytest.mark.parametrize("at", [1, 2, 5, 8, 9, 16, 17])
async def test_slow_eraser_removes_nothing_of_the_realm_that_came_after(at: int) -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(1, 60)))
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)
    realm = world.process()
    stack, overtaken = _Stack(world.stack), Overtaken(world, at)
    stack.table, realm.stack = overtaken, stack  # type: ignore[assignment]  # a table, but for its annotations

    await erase(realm)

    if overtaken.looks < at:
        pytest.fail("nobody was overtaken")
    healthy = await go_on(world)
    assert healthy.started == {f"b-{n}": 1 for n in range(1, 30)}
    await assert_counts_equal_rows(world.realm)


class _Stack:
    def __init__(self, stack: object) -> None:
        self._stack = stack
        self.table: object = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._stack, name)


async def test_nothing_is_checked_out_of_it_and_what_was_is_lost_to_its_holder() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))
    [held] = await check_out([world.realm])
    await delete_realm(world.realm)

    assert await check_out([world.process()]) == []
    assert not await erase(world.realm)
    for end in (ack, nack, extend):
        with pytest.raises(LeaseLost, match=f"job {held.job.id} is not yours: it is gone"):
            await end(world.process(), held.job.id, held.token)
    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.realm)
    assert await rows_of(world.realm) == []


async def test_row_of_a_worker_that_nobody_believes_goes_with_the_realm() -> None:
    world = World()
    await world.push_one()
    values = {"expires_at": "2025-01-01T00:00:00Z", "beat_at": "2025-01-01T00:00:00Z", "labels": "{}"}
    await world.stack.table.commit(workers_partition(world.name), [create("old", values)])
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.realm)
    assert await is_gone(world)
