"""A job added under its id: made at first, joined later, and never changed behind somebody's back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from jobq.model.job import JobState
from tests.service.control_plane import ControlPlane


async def add(service: ControlPlane, asked: Any, job: str = "a!2f1") -> httpx.Response:
    return await service.ask("PUT", f"enqueue/demo/jobs/{job}", json=asked)


async def test_added_job_is_queued(service: ControlPlane) -> None:
    answer = await add(service, {"cmd": "true", "tags": ["house work"], "lane": 3, "num_retries": 2})

    assert (answer.status_code, answer.json()) == (200, {"id": "a/1", "status": "queued", "state": "queued"})
    job = (await service.get("status/demo/jobs/a!2f1")).json()
    assert (job["command"], job["tags"], job["lanes"], job["num_retries"]) == ("true", ["house work"], ["3"], 2)


async def test_same_data_added_again_joins_tags_and_lanes(service: ControlPlane) -> None:
    await add(service, {"cmd": "true", "tags": ["x"]})

    answer = await add(service, {"cmd": "true", "tags": ["y"], "lane": 7})

    assert (answer.status_code, answer.json()["status"]) == (200, "exists")
    job = (await service.get("status/demo/jobs/a!2f1")).json()
    assert (sorted(job["tags"]), sorted(job["lanes"])) == (["x", "y"], ["0", "7"])
    assert (await service.get("status/demo/total")).json()["total"] == 1


async def test_other_data_under_the_same_id_is_a_conflict(service: ControlPlane) -> None:
    await add(service, {"cmd": "true", "tags": ["x"]})

    answer = await add(service, {"cmd": "false", "tags": ["y"]})

    assert answer.status_code == 409
    assert "a/1" in answer.json()["detail"]
    assert "conflict" in answer.json()["detail"]
    job = (await service.get("status/demo/jobs/a!2f1")).json()
    assert (job["command"], job["tags"]) == ("true", ["x"])


async def test_job_that_has_ended_is_queued_again(service: ControlPlane) -> None:
    await add(service, {"cmd": "true"})
    await service.force("a/1", JobState.SUCCEEDED)

    answer = await add(service, {"cmd": "true"})

    assert answer.json() == {"id": "a/1", "status": "queued", "state": "queued"}


@pytest.mark.parametrize("data", ["do the dishes", {"x": 1}, {"data": 1}, [1, "a", None], 7, 0.5, "", " ", None, True])
async def test_any_json_is_data_and_comes_back(service: ControlPlane, data: Any) -> None:
    added, again = await add(service, {"data": data}), await add(service, {"data": data})

    (job,) = (await service.post("checkout/demo/jobs")).json()["jobs"]

    assert (added.json()["status"], again.json()["status"]) == ("queued", "exists")
    assert job["data"] == data


async def test_data_is_pushed_with_many_jobs_too(service: ControlPlane) -> None:
    answer = await service.push({"id": "a", "data": [1]}, {"id": "b", "data": "ls"}, if_exists="add")

    assert answer.status_code == 200
    assert (await service.get("status/demo/jobs/b")).json()["command"] == "ls"


async def test_push_that_adds_says_which_jobs_are_other_ones(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})

    answer = await service.push({"id": "a", "cmd": "false"}, {"id": "b", "cmd": "true"}, if_exists="add")

    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["refused", "queued"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "'cmd'"),
        ({"cmd": "true", "data": 1}, "'data'"),
        ({"kwargs": {}, "data": None}, "'data'"),
        ({"cmd": " "}, "not empty"),
        ({"cmd": "true", "id": "b"}, "URL"),
        ({"cmd": "true", "realm": "demo"}, "'realm'"),
        ({"cmd": "true", "lane": "Lane 1"}, "lane"),
        ({"cmd": "true", "tags": [""]}, "tag"),
        ({"cmd": "x" * 4_000_001}, "4,000,000"),
        ([], "object"),
        (7, "object"),
    ],
)
async def test_bad_job_is_refused_with_what_is_wrong(service: ControlPlane, asked: Any, says: str) -> None:
    answer = await add(service, asked)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert (await service.get("status/demo/total")).json()["total"] == 0


@pytest.mark.parametrize("data", ["NaN", "1e999", '"\\ud800"', "[" * 900 + "]" * 900, "9" * 5000])
async def test_data_that_could_not_be_read_back_is_refused(service: ControlPlane, data: str) -> None:
    body = '{"data":' + data + "}"
    headers = {"content-type": "application/json"}

    answer = await service.ask("PUT", "enqueue/demo/jobs/a", content=body, headers=headers)

    assert answer.status_code == 400


@pytest.mark.parametrize("job", ["a%20b", "a!2", "a!2F1", "!0a"])
async def test_id_that_is_not_escaped_is_refused(service: ControlPlane, job: str) -> None:
    assert (await add(service, {"cmd": "true"}, job)).status_code == 400


async def test_job_is_added_as_json_only(service: ControlPlane) -> None:
    headers = {"content-type": "application/x-ndjson"}

    answer = await service.ask("PUT", "enqueue/demo/jobs/a", content=b'{"cmd":"true"}', headers=headers)

    assert answer.status_code == 415
