"""What a realm is set to: lease times, for all lanes or one by one, before or after the first push."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobq.core.api import RealmApi
from jobq.core.meter import Meter, metered
from jobq.core.pause import pause
from jobq.core.realm_settings import (
    DEFAULT_LEASE,
    NO_LEASE,
    SettingsChange,
    change_settings,
    settings_of,
    settings_or_default,
)
from jobq.errors import BadInput, NotFound
from tests.proof.faults import Fault, FaultyStack
from tests.proof.world import START, World, new_job

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


async def test_leases_are_set_before_the_first_push_and_for_lanes_that_are_still_to_come() -> None:
    world = World()

    await change_settings(world.realm, SettingsChange(lease=HOUR, lane_leases={"3": MINUTE, "bulk": 2 * HOUR}))
    await world.push(new_job("b-1", lanes=("3",)), new_job("b-2", lanes=("10",)))

    settings = await settings_of(world.process())
    assert settings.lanes == ("0", "3", "10")
    assert [settings.lease_of(lane) for lane in ("0", "3", "10", "bulk")] == [HOUR, MINUTE, HOUR, 2 * HOUR]
    assert (settings.created_at, settings.paused, settings.is_deleting) == (START, (), False)


async def test_what_a_change_does_not_name_stays() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("2",)))
    await pause(world.realm, "2")
    await change_settings(world.realm, SettingsChange(lease=HOUR, lane_leases={"2": MINUTE}))

    settings = await change_settings(world.realm, SettingsChange(lane_leases={"4": 2 * MINUTE}))

    assert settings == await settings_of(world.realm)
    assert (settings.lease, settings.lane_leases) == (HOUR, {"2": MINUTE, "4": 2 * MINUTE})
    assert (settings.lanes, settings.paused) == (("2",), ("2",))


async def test_lease_that_is_taken_away_is_the_realms_then_the_default() -> None:
    world = World()
    await change_settings(world.realm, SettingsChange(lease=HOUR, lane_leases={"2": MINUTE}))

    settings = await change_settings(world.realm, SettingsChange(lane_leases={"2": NO_LEASE}))
    assert settings.lease_of("2") == HOUR
    settings = await change_settings(world.realm, SettingsChange(lease=NO_LEASE))
    assert settings.lease_of("2") == DEFAULT_LEASE
    assert await RealmApi(world.realm).settings() == {
        "realm": "proof",
        "lanes": ["0"],
        "lease": None,
        "lane_leases": {},
        "paused": [],
        "created_at": "2026-01-01T00:00:00.000Z",
        "deleting": False,
    }


@pytest.mark.parametrize("lease", [timedelta(milliseconds=999), timedelta(days=7, seconds=1), timedelta(seconds=-5)])
async def test_lease_that_no_queue_can_hold_is_refused_and_nothing_changed(lease: timedelta) -> None:
    world = World()
    named = f"{lease.total_seconds():g} s is no lease"
    with pytest.raises(BadInput, match=named):
        await change_settings(world.realm, SettingsChange(lease=lease))
    with pytest.raises(BadInput, match=named):
        await change_settings(world.realm, SettingsChange(lane_leases={"1": lease}))
    with pytest.raises(BadInput, match="'no lane' is not a lane"):
        await change_settings(world.realm, SettingsChange(lane_leases={"no lane": HOUR}))
    with pytest.raises(NotFound, match="there is no realm memory:/proof yet"):
        await settings_of(world.realm)


async def test_realm_that_was_never_used_has_lane_0_and_is_not_made_by_a_look() -> None:
    world = World()

    settings = await settings_or_default(world.realm)

    assert (settings.lanes, settings.paused, settings.lease_of("0")) == (("0",), (), DEFAULT_LEASE)
    assert await world.realm.row() is None


async def test_lanes_what_is_paused_and_leases_are_one_read() -> None:
    world, meter = World(), Meter()
    await world.push(new_job("b-1"))

    await settings_or_default(world.process(metered(world.stack, meter)))

    assert meter == {"table.get": 1}


async def test_settings_lanes_and_pauses_made_at_the_same_time_are_all_kept() -> None:
    world = World()
    await world.push(new_job("b-1"))

    await asyncio.gather(
        *(change_settings(world.process(), SettingsChange(lane_leases={str(n): n * MINUTE})) for n in range(1, 6)),
        *(world.process().open_lanes([str(lane)]) for lane in range(20, 25)),
        pause(world.process(), "0"),
    )

    settings = await settings_of(world.realm)
    assert settings.lane_leases == {str(n): n * MINUTE for n in range(1, 6)}
    assert (settings.lanes, settings.paused) == (("0", "20", "21", "22", "23", "24"), ("0",))


async def test_change_whose_reply_was_lost_is_made_once() -> None:
    world = World()
    stack = FaultyStack(world.stack)
    stack.break_at("table.commit", Fault.REPLY_LOST)

    settings = await change_settings(world.process(stack), SettingsChange(lease=HOUR))

    assert settings == await settings_of(world.realm)
    assert settings.lease == HOUR
