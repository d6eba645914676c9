"""The timer: it sweeps every realm, and none twice within a minute."""

from __future__ import annotations

import logging
from unittest.mock import AsyncMock

import pytest

from jobq.core.ports import create
from jobq.core.rows import REALMS
from jobq.core.sweep import Swept
from jobq.errors import Unreachable
from jobq_service import tick
from tests.service.control_plane import ControlPlane

PUSH = {"jobs": [{"cmd": "true"}]}


async def test_every_realm_is_swept_once_a_minute(service: ControlPlane) -> None:
    await service.post("enqueue/first/jobs", PUSH)
    await service.post("enqueue/second/jobs", PUSH)

    counts = [await tick.sweep_realms(service.realms, "me"), await tick.sweep_realms(service.realms, "another")]

    assert counts == [2, 0]


async def test_realm_in_trouble_does_not_keep_the_others_waiting(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await service.post("enqueue/first/jobs", PUSH)
    await service.post("enqueue/second/jobs", PUSH)
    monkeypatch.setattr(tick, "sweep_if_due", AsyncMock(side_effect=[Unreachable("it does not answer"), Swept()]))
    caplog.set_level(logging.WARNING)

    assert await tick.sweep_realms(service.realms, "me") == 1
    assert "could not finish the sweep of realm first: it does not answer" in caplog.text


async def test_row_that_names_no_realm_is_passed_over(service: ControlPlane) -> None:
    await service.post("enqueue/first/jobs", PUSH)
    await service.realms.realm("first").stack.table.commit(REALMS, [create("No Realm", {"lanes": "0"})])

    assert await tick.sweep_realms(service.realms, "me") == 1
