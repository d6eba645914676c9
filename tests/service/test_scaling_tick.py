"""The second timer: what it asks of the scale set, and what it remembers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest

from jobq.adapters.scale_set import ScaleSet
from jobq.errors import BadInput, NotAllowed, Unreachable
from jobq_service import scaling_tick
from jobq_service.scaling import FIRST_PAUSE, Memory, Rules
from jobq_service.scaling_tick import Remembered, scale_fleet
from jobq_service.settings import ScaleSettings, read_scale_settings
from tests.resource_manager import SCALE_SET, Credential, ResourceManager, resource_manager
from tests.service.control_plane import ControlPlane

SETTINGS = ScaleSettings(SCALE_SET, ("first", "second"), Rules(jobs_per_instance=2, cooldown=timedelta(0)))


@pytest.fixture
def manager() -> Iterator[ResourceManager]:
    with resource_manager() as manager:
        yield manager


@pytest.fixture
async def scale_set(manager: ResourceManager) -> AsyncIterator[ScaleSet]:
    async with ScaleSet(SCALE_SET, Credential(), manager=manager.url) as scale_set:
        yield scale_set


async def push(service: ControlPlane, realm: str, count: int) -> None:
    await service.post(f"enqueue/{realm}/jobs", {"jobs": [{"cmd": "true"}] * count})


async def remembered(service: ControlPlane) -> Memory:
    return await Remembered(service.realms.realm("first"), "workers").read()


async def test_machines_are_asked_for_once_for_the_jobs_of_all_realms(
    service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet
) -> None:
    await push(service, "first", 3)
    await push(service, "second", 2)

    decisions = [await scale_fleet(service.realms, SETTINGS, scale_set) for _ in range(2)]
    manager.arrive()
    decisions.append(await scale_fleet(service.realms, SETTINGS, scale_set))

    assert [decision.capacity for decision in decisions] == [3, None, None]
    assert decisions[1].why == "an earlier change is not done yet"
    assert manager.asked.count(("PATCH", "")) == 1
    assert (await remembered(service)).asked == 0


async def test_nothing_is_asked_for_without_jobs(
    service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet
) -> None:
    assert (await scale_fleet(service.realms, SETTINGS, scale_set)).capacity is None
    assert ("PATCH", "") not in manager.asked
    assert await remembered(service) == Memory()


async def test_quota_is_remembered_and_told(
    service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet, caplog: pytest.LogCaptureFixture
) -> None:
    manager.quota = 2
    await push(service, "first", 8)

    asked = [(await scale_fleet(service.realms, SETTINGS, scale_set)).capacity for _ in range(2)]
    manager.arrive()
    asked += [(await scale_fleet(service.realms, SETTINGS, scale_set)).capacity for _ in range(3)]

    memory = await remembered(service)
    assert asked == [None, 2, None, None, None]  # 4 and 3 are refused
    assert (manager.capacity, memory.ceiling, memory.refusals) == (2, 3, 2)
    assert memory.changed_at
    assert memory.refused_until == memory.changed_at + 2 * FIRST_PAUSE
    assert "exceeding approved Total Regional Cores quota.; fewer are asked for until" in caplog.text


async def test_change_that_was_accepted_and_failed_is_a_refusal(
    service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet, caplog: pytest.LogCaptureFixture
) -> None:
    await push(service, "first", 8)
    await scale_fleet(service.realms, SETTINGS, scale_set)
    manager.machines, manager.state = {"0": "Succeeded", "1": "Failed"}, "Failed"

    for _ in range(2):
        assert (await scale_fleet(service.realms, SETTINGS, scale_set)).capacity is None

    memory = await remembered(service)
    assert (memory.ceiling, memory.refusals) == (4, 1)
    assert caplog.text.count("not all of 4 machines came") == 1


async def test_trouble_is_no_refusal(service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet) -> None:
    await push(service, "first", 2)
    manager.refuse(403, "AuthorizationFailed", method="PATCH")
    with pytest.raises(NotAllowed):
        await scale_fleet(service.realms, SETTINGS, scale_set)

    assert (await scale_fleet(service.realms, SETTINGS, scale_set)).capacity == 1
    assert (await remembered(service)).ceiling == 0


async def test_realm_in_trouble_counts_as_one_with_nothing_to_do(
    service: ControlPlane,
    manager: ResourceManager,
    scale_set: ScaleSet,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await push(service, "second", 2)
    backlog = await scaling_tick.realm_backlog(service.realms.realm("second"))
    monkeypatch.setattr(scaling_tick, "realm_backlog", AsyncMock(side_effect=[Unreachable("it is down"), backlog]))
    caplog.set_level(logging.WARNING)

    assert (await scale_fleet(service.realms, SETTINGS, scale_set)).capacity == 1
    assert "counted nothing in realm first: it is down" in caplog.text

    monkeypatch.setattr(scaling_tick, "realm_backlog", AsyncMock(side_effect=Unreachable("it is down")))
    with pytest.raises(Unreachable):
        await scale_fleet(service.realms, SETTINGS, scale_set)


async def test_of_two_timers_at_once_one_asks(
    service: ControlPlane, manager: ResourceManager, scale_set: ScaleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await push(service, "first", 4)
    read = scale_set.machines

    async def while_another_is_faster() -> object:
        machines = await read()
        monkeypatch.setattr(scale_set, "machines", read)
        await scale_fleet(service.realms, SETTINGS, scale_set)
        return machines

    monkeypatch.setattr(scale_set, "machines", while_another_is_faster)

    decision = await scale_fleet(service.realms, SETTINGS, scale_set)

    assert decision.why == "another timer was faster"
    assert manager.asked.count(("PATCH", "")) == 1


def test_settings_say_what_to_scale() -> None:
    assert read_scale_settings({"JOBQ_STORAGE": "lab"}) is None
    assert read_scale_settings({"JOBQ_SCALE_SET": SCALE_SET}) == ScaleSettings(SCALE_SET, ("default",), Rules())
    assert read_scale_settings(
        {
            "JOBQ_SCALE_SET": SCALE_SET,
            "JOBQ_SCALE_REALMS": "exp7, exp8",
            "JOBQ_SCALE_MIN": "1",
            "JOBQ_SCALE_MAX": "40",
            "JOBQ_SCALE_JOBS_PER_INSTANCE": "8",
            "JOBQ_SCALE_COOLDOWN": "2m",
            "JOBQ_SCALE_CLIENT_ID": "id-3",
        }
    ) == ScaleSettings(SCALE_SET, ("exp7", "exp8"), Rules(1, 40, 8, timedelta(minutes=2)), "id-3")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOBQ_SCALE_MIN", "-1"),
        ("JOBQ_SCALE_MIN", "11"),
        ("JOBQ_SCALE_MAX", "many"),
        ("JOBQ_SCALE_JOBS_PER_INSTANCE", "0"),
        ("JOBQ_SCALE_COOLDOWN", "soon"),
        ("JOBQ_SCALE_REALMS", "a,b"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, value: str) -> None:
    with pytest.raises(BadInput):
        read_scale_settings({"JOBQ_SCALE_SET": SCALE_SET, name: value})
