"""How many workers it takes, as scalers are told."""

from __future__ import annotations

import pytest

from tests.service.control_plane import ControlPlane


async def test_scale_of_a_realm_that_was_never_used_wants_the_least(service: ControlPlane) -> None:
    answer = await service.get("status/unused/scale", min=2)

    expected = {"realm": "unused", "waiting": 0, "running": 0, "oldest_seconds": None, "workers": 0, "wanted": 2}
    assert answer.json() == expected


async def test_scale_counts_what_waits_and_what_runs(service: ControlPlane) -> None:
    await service.push(*({"id": f"a{n}", "cmd": "true"} for n in range(9)), {"cmd": "true", "lane": 7})
    await service.run("a0", "a1")

    scale = (await service.get("status/demo/scale", jobs_per_worker=4)).json()

    assert 0 <= scale.pop("oldest_seconds") < 60
    assert scale == {"realm": "demo", "waiting": 8, "running": 2, "workers": 1, "wanted": 3}
    assert (await service.get("status/demo/scale", max=5)).json()["wanted"] == 5
    assert (await service.get("status/demo/scale", max_lane=6)).json()["waiting"] == 7


async def test_scale_leaves_out_what_is_paused(service: ControlPlane) -> None:
    await service.push({"cmd": "true"}, {"cmd": "true", "lane": 7})
    await service.post("manage/demo/pause", {"lane": 7})

    scale = (await service.get("status/demo/scale")).json()

    assert (scale["waiting"], scale["wanted"]) == (1, 1)


@pytest.mark.parametrize(
    "query", ["jobs_per_worker=0", "jobs_per_worker=x", "min=-1", "max=-1", "min=3&max=2", "max_lane=-1"]
)
async def test_bad_scale_queries_are_refused(service: ControlPlane, query: str) -> None:
    answer = await service.get(f"status/demo/scale?{query}")

    assert answer.status_code == 400
    assert answer.json()["detail"]
