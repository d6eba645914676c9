"""Pausing a realm or lanes of it: what is written, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from jobq.core.pause import pause, resume
from jobq.core.status import realm_status
from jobq.errors import IllegalTransition, NotFound
from tests.proof.world import World, new_job


async def a_realm() -> World:
    world = World()
    await world.push(new_job("b-1", lanes=("0",)), new_job("b-2", lanes=("3",)), new_job("b-3", lanes=("bulk",)))
    return world


async def test_lanes_are_paused_and_resumed_one_by_one() -> None:
    world = await a_realm()

    assert await pause(world.realm, "bulk") == ["bulk"]
    assert await pause(world.realm, "3") == ["3", "bulk"]
    assert await pause(world.realm, "3") == ["3", "bulk"]
    assert (await realm_status(world.realm)).paused == ("3", "bulk")
    assert await resume(world.realm, "bulk") == ["3"]
    assert await resume(world.realm, "0") == ["3"]


async def test_whole_realm_is_paused_and_resumed_lanes_and_all() -> None:
    world = await a_realm()
    await pause(world.realm, "3")

    assert await pause(world.realm) == ["*"]
    with pytest.raises(IllegalTransition, match="the whole of memory:/proof is paused"):
        await resume(world.realm, "3")
    assert await resume(world.realm) == []
    assert (await realm_status(world.realm)).paused == ()


async def test_what_is_not_there_cannot_be_paused() -> None:
    world = World()
    with pytest.raises(NotFound, match="there is no realm memory:/proof yet"):
        await pause(world.realm)
    await world.push(new_job("b-1"))
    with pytest.raises(NotFound, match="there is no lane 7 in memory:/proof yet"):
        await pause(world.realm, "7")


async def test_lane_that_is_opened_at_that_moment_is_not_lost() -> None:
    world = await a_realm()

    await asyncio.gather(
        *(pause(world.process(), lane) for lane in ("0", "3", "bulk")),
        *(world.process().open_lanes([str(lane)]) for lane in range(20, 30)),
    )

    lanes, paused = await world.realm.lanes_and_paused()
    assert paused == {"0", "3", "bulk"}
    assert {*map(str, range(20, 30))} <= {*lanes}
