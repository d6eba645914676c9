"""A caller that asks too fast is told when to go on; others are not held up."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobq.adapters.local import MemoryStack
from jobq_service.app import create_app
from jobq_service.rate_limit import RateLimit
from jobq_service.realms import Realms
from tests.service.control_plane import ControlPlane

KEY = {"x-functions-key": "one-of-two-keys"}


@pytest.fixture
async def slow() -> AsyncIterator[ControlPlane]:
    """One request a second of a caller, and ten at once; time stands still."""
    realms = Realms(MemoryStack)
    plane = ControlPlane(create_app(realms, rate_limit=RateLimit(1, now=lambda: 0.0)), realms)
    async with plane.http:
        yield plane
    await realms.close()


async def test_caller_that_is_too_fast_is_told_when_to_go_on(slow: ControlPlane) -> None:
    answers = [await slow.get("status/demo/total") for _ in range(12)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert (answers[-1].headers["retry-after"], answers[-1].headers["cache-control"]) == ("1", "no-store")
    assert answers[-1].json()["type"] == "urn:jobq:too-fast"


async def test_others_and_health_are_answered_meanwhile(slow: ControlPlane) -> None:
    for _ in range(12):
        await slow.get("status/demo/total")

    others = [await slow.ask("GET", "status/demo/total", headers=KEY), await slow.get("health")]

    assert [answer.status_code for answer in others] == [200, 200]


async def test_what_there_is_not_counts_as_well(slow: ControlPlane) -> None:
    answers = [await slow.get("nope") for _ in range(11)]

    assert [answer.status_code for answer in answers][9:] == [404, 429]


async def test_refusals_are_in_the_metrics(slow: ControlPlane) -> None:
    for _ in range(12):
        await slow.get("status/demo/total")

    metrics = (await slow.ask("GET", "status/metrics", headers=KEY)).text

    counted = 'jobq_request_duration_seconds_count{function="other",method="GET",route="other",status="4xx"} 2.0'
    assert counted in metrics
