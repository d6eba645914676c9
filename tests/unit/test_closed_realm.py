"""A realm from when it is deleted until it is gone: what is refused, and what it looks like."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from jobq.core.api import RealmApi
from jobq.core.erase import delete_realm, erase
from jobq.core.operate import cancel, leave_lane, move_lane, retry
from jobq.core.pause import pause, resume
from jobq.core.realm import CLOSED_FOR, LOOK_AGAIN
from jobq.core.realm_settings import SettingsChange, change_settings, settings_of
from jobq.core.status import is_anything_queued, realm_status
from jobq.errors import IllegalTransition, NotFound
from jobq.model.job import IfExists
from tests.proof.actors import FAILED, Worker, always
from tests.proof.world import World, new_job

HOUR = timedelta(hours=1)


CHANGES: dict[str, Callable[[World], Awaitable[object]]] = {
    "push": lambda world: world.push(new_job("b-1")),
    "push of what is there": lambda world: world.push(new_job("failed")),
    "add": lambda world: world.push(new_job("queued", tags=("t",)), if_exists=IfExists.ADD),
    "move": lambda world: move_lane(world.realm, "queued", "0", "1"),
    "clear": lambda world: leave_lane(world.realm, "queued", "0"),
    "retry": lambda world: retry(world.realm, "failed"),
    "pause": lambda world: pause(world.realm),
    "resume": lambda world: resume(world.realm, "0"),
    "settings": lambda world: change_settings(world.realm, SettingsChange(lease=HOUR)),
    "files": lambda world: RealmApi(world.realm).missing_files([]),
    "store files": lambda world: RealmApi(world.realm).put_files({}),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_from_then_on_it_is_refused_to(what: str) -> None:
    world = World()
    await world.push(new_job("failed"), new_job("queued", lanes=("0", "2")))
    await Worker(world, world.process(), always(FAILED)).work(limit=1)
    await delete_realm(world.process())
    world.clock.move(by=LOOK_AGAIN)

    with pytest.raises(IllegalTransition, match=r"realm memory:/proof is being deleted; .* used again in 1m 30s"):
        await CHANGES[what](world)

    assert await erase(world.realm) is False  # nothing was begun that would make the realm anew


async def test_process_that_deletes_knows_of_it_at_once() -> None:
    world = World()
    await world.push_one()
    await delete_realm(world.realm)
    with pytest.raises(IllegalTransition, match="is being deleted"):
        await world.push(new_job("b-2"))


async def test_long_push_is_cut_off_when_its_realm_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.core.push.WINDOW", 2)
    world = World()
    await world.push_one()
    await delete_realm(world.process())
    now = world.realm.now
    world.realm.now = lambda: (world.clock.move(by=timedelta(seconds=1)), now())[1]

    with pytest.raises(IllegalTransition, match="is being deleted"):
        await world.push(*(new_job(f"c-{n}") for n in range(100)))


async def test_nothing_is_taken_from_it_and_status_still_answers() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))

    await delete_realm(world.realm)

    assert await world.process().lanes_and_paused() == (["0"], {"*"})
    settings = await settings_of(world.process())
    assert (settings.paused, settings.is_deleting) == (("*",), True)
    assert (await realm_status(world.realm)).realm.counts.total == 2
    await erase(world.realm)
    assert (await realm_status(world.realm)).realm.counts.total == 0
    assert not await is_anything_queued(world.realm, ["0"])  # so a worker that ends when there is nothing ends


async def test_realm_that_is_not_there_cannot_be_deleted_and_one_that_is_twice() -> None:
    world = World()
    with pytest.raises(NotFound, match="there is no realm memory:/proof"):
        await delete_realm(world.realm)
    await world.push_one()
    await delete_realm(world.realm)
    world.clock.move(by=CLOSED_FOR)
    await delete_realm(world.process())
    assert await erase(world.realm)  # it counts from the first time


async def test_cancel_is_still_possible_and_harmless() -> None:
    world = World()
    await world.push_one()
    await delete_realm(world.realm)
    await cancel(world.realm, "b-1")
    world.clock.move(by=CLOSED_FOR)
    assert await erase(world.realm)
