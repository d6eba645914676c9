"""What the routes answer that a page polls."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.sweep import sweep
from jobq.model.job import JobState
from tests.proof.world import Clock
from tests.service.control_plane import ControlPlane

MINUTE = timedelta(minutes=1)
NONE = {"total": 0, "queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}


async def test_realm_that_was_never_used_has_nothing_to_show(service: ControlPlane) -> None:
    found = (await service.get("status/unused/summary")).json()

    assert found["counts"] == NONE
    assert (found["lanes"], found["tags"], found["batches"], found["failures"]) == ([], [], [], [])
    assert (found["more_tags"], found["more_batches"], found["more_failures"]) == (False, False, False)
    assert found["per_minute"] == {"succeeded": None, "failed": None, "preempted": None}
    assert found["eta_seconds"] is None
    assert sum(found["durations"]["counts"]) == 0
    assert len(found["durations"]["counts"]) == len(found["durations"]["bounds"]) + 1


async def test_summary_shows_the_realm_its_lanes_tags_batches_and_failures(service: ControlPlane) -> None:
    await service.push({"cmd": "true", "id": "a", "tags": ["x y"]}, {"cmd": "true", "lane": 2, "id": "b"})
    await service.push({"cmd": "true", "id": "c"}, {"cmd": "true", "id": "d"}, batch="b2")
    await service.fail("a")
    await service.run("b")
    await service.force("c", JobState.SUCCEEDED, seconds=2.5)
    await service.post("manage/demo/pause", {"lane": 2})

    found = (await service.get("status/demo/summary")).json()

    assert found["counts"] == NONE | {"total": 4, "queued": 1, "running": 1, "succeeded": 1, "failed": 1}
    assert (found["workers"], found["slots"], found["paused"]) == (1, 4, ["2"])
    assert [(lane["lane"], lane["total"]) for lane in found["lanes"]] == [("0", 3), ("2", 1)]
    assert [(tag["tag"], tag["failed"]) for tag in found["tags"]] == [("x y", 1)]
    assert {batch["batch"]: batch["total"] for batch in found["batches"]} == {"b1": 2, "b2": 2}
    assert all(batch["pushed_at"].endswith("Z") for batch in found["batches"])
    [failure] = found["failures"]
    assert (failure["line"], failure["jobs"], len(failure["error"])) == ("exit: no such file", 1, 12)
    counted = dict(zip(found["durations"]["bounds"], found["durations"]["counts"], strict=False))
    assert (counted[3], sum(found["durations"]["counts"])) == (1, 1)


async def test_rates_and_history_come_of_sweeps(service: ControlPlane) -> None:
    # Given jobs that end, one a minute, and a sweep each minute
    realm, clock = service.realms.realm("demo"), Clock()
    realm.now = clock.now
    await service.push(*({"cmd": "true", "id": f"j{n}"} for n in range(20)))
    for minute in range(12):
        await sweep(realm)
        clock.move(by=MINUTE)
        await service.force(f"j{minute}", JobState.SUCCEEDED, seconds=1)
    await sweep(realm)

    # When
    found = (await service.get("status/demo/summary")).json()
    history = (await service.get("status/demo/history", range="1h")).json()

    # Then
    assert found["per_minute"] == {"succeeded": 1, "failed": 0, "preempted": 0}
    assert found["eta_seconds"] == [480, 480]
    [batch] = found["batches"]
    assert (batch["per_minute"], batch["eta_seconds"]) == (1, [480, 480])
    assert history["step"] == 60
    assert [point["succeeded"] for point in history["points"]] == [1] * 12
    assert [point["waiting"] for point in history["points"]] == list(range(19, 7, -1))
    assert history["points"][0]["at"] == "2026-01-01T00:01:00.000Z"
    assert (await service.get("status/demo/summary")).content == (await service.get("status/demo/summary")).content


async def test_history_has_five_ranges(service: ControlPlane) -> None:
    steps = {}
    for name in ("1h", "6h", "24h", "7d", "30d"):
        found = (await service.get("status/demo/history", range=name)).json()
        steps[name] = found["step"]
        assert found["points"] == []

    assert steps == {"1h": 60, "6h": 600, "24h": 600, "7d": 3600, "30d": 21600}
    assert (await service.get("status/demo/history")).json()["step"] == 60


@pytest.mark.parametrize("query", ["range=2h", "range="])
async def test_other_ranges_are_refused(service: ControlPlane, query: str) -> None:
    assert (await service.get(f"status/demo/history?{query}")).status_code == 400
