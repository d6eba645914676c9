"""Cancel, retry, remove, one job or many; sweep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobq.core.workers import Asked, WorkerRow
from jobq.model.job import JobState
from tests.service.control_plane import ControlPlane


async def states(service: ControlPlane) -> dict[str, str]:
    page = (await service.get("status/demo/jobs")).json()
    return {job["id"]: job["state"] for job in page["jobs"]}


async def test_queued_job_is_cancelled_with_the_reason_given(service: ControlPlane) -> None:
    await service.push({"id": "a/1", "cmd": "true"})

    answer = await service.post("manage/demo/jobs/a!2f1/cancel", {"message": "not needed"})

    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["message"]) == ("cancelled", "not needed")


async def test_running_job_is_asked_to_end(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.force("a", JobState.RUNNING, worker="w")

    answer = await service.post("manage/demo/jobs/a/cancel")

    assert (answer.json()["state"], answer.json()["cancel_requested"]) == ("running", True)


async def test_running_job_is_preempted_through_its_worker(service: ControlPlane) -> None:
    # Given a job that runs, one whose worker has no row, one that waits
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true"}, {"id": "c", "cmd": "true"})
    await service.force("a", JobState.RUNNING, worker="w-1")
    await service.force("b", JobState.RUNNING, worker="gone")
    row = WorkerRow(service.realms.realm("demo"), "w-1", 1)
    await row.beat([], believe=timedelta(minutes=5))

    # When they, and the worker, are preempted
    one = await service.post("manage/demo/jobs/a/preempt")
    others = [await service.post(f"manage/demo/jobs/{job_id}/preempt") for job_id in ("b", "c", "d")]
    many = await service.post("manage/demo/preempt", {"ids": ["a", "b"]})
    whole = await service.post("manage/demo/workers/w-1/preempt")
    unknown = await service.post("manage/demo/workers/w%2F2/preempt")

    # Then the worker is told, and the others are refused
    assert (one.status_code, one.json()["state"]) == (200, "running")
    assert [answer.status_code for answer in others] == [404, 409, 404]
    assert (many.json()["matched"], many.json()["changed"]) == (2, 1)
    assert (whole.status_code, whole.json()) == (200, {"worker": "w-1"})
    assert unknown.status_code == 404
    assert await row.beat([], believe=timedelta(minutes=5)) == Asked(preempt=("*", "a"))


async def test_worker_is_drained_through_its_row(service: ControlPlane) -> None:
    row = WorkerRow(service.realms.realm("demo"), "w-1", 2, {"gpu": "a100"})
    await row.beat([], believe=timedelta(minutes=5), machine={"cpu": 0.5})

    known = await service.post("manage/demo/workers/w-1/drain")
    unknown = await service.post("manage/demo/workers/w-2/drain")
    (seen,) = (await service.get("status/demo/workers")).json()["workers"]
    asked = await row.beat([], believe=timedelta(minutes=5), is_draining=True)
    (then,) = (await service.get("status/demo/workers")).json()["workers"]

    assert (known.status_code, unknown.status_code) == (200, 404)
    assert (seen["labels"], seen["cpu"], seen["memory"], seen["draining"]) == ({"gpu": "a100"}, 0.5, None, False)
    assert asked == Asked(drain=("*",))
    assert then["draining"]


async def test_realm_and_lanes_are_paused_and_resumed(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true", "lane": 3})

    lane = await service.post("manage/demo/pause", {"lane": 3})
    unknown = await service.post("manage/demo/pause", {"lane": "x"})
    whole = await service.post("manage/demo/pause")
    status = (await service.get("status/demo")).json()
    refused = await service.post("manage/demo/resume", {"lane": "3"})
    resumed = await service.post("manage/demo/resume")

    assert (lane.status_code, lane.json()) == (200, {"realm": "demo", "paused": ["3"]})
    assert (unknown.status_code, refused.status_code) == (404, 409)
    assert whole.json()["paused"] == status["paused"] == ["*"]
    assert resumed.json()["paused"] == []


async def test_cancelled_job_is_queued_again(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.post("manage/demo/jobs/a/cancel")

    answer = await service.post("manage/demo/jobs/a/retry")

    assert (answer.status_code, answer.json()["state"]) == (200, "queued")


async def test_removed_job_is_answered_as_it_was(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})

    answer = await service.delete("manage/demo/jobs/a")

    assert (answer.status_code, answer.json()["id"]) == (200, "a")
    assert await states(service) == {}


async def test_removing_a_running_job_asks_its_worker(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.force("a", JobState.RUNNING, worker="w")

    answer = await service.delete("manage/demo/jobs/a")

    assert (answer.json()["state"], answer.json()["cancel_requested"]) == ("running", True)
    assert await states(service) == {"a": "running"}


@pytest.mark.parametrize("what", ["retry", "cancel"])
async def test_what_a_jobs_state_forbids_is_a_conflict(service: ControlPlane, what: str) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.force("a", JobState.SUCCEEDED)

    answer = await service.post(f"manage/demo/jobs/a/{what}")

    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:jobq:illegal-transition"
    assert "succeeded" in answer.json()["detail"]


async def test_unknown_job_is_not_found(service: ControlPlane) -> None:
    assert (await service.post("manage/demo/jobs/a/cancel")).status_code == 404
    assert (await service.post("manage/demo/jobs/a/retry")).status_code == 404
    assert (await service.delete("manage/demo/jobs/a")).status_code == 404


@pytest.mark.parametrize(
    ("selection", "cancelled"),
    [
        ({"ids": ["a", "c/1"]}, ["a", "c/1"]),
        ({"tag": "x y"}, ["a"]),
        ({"lane": 2}, ["b"]),
        ({"lane": "2"}, ["b"]),
        ({"batch": "b1"}, ["a", "b", "c/1"]),
        ({"state": "queued", "lane": "0"}, ["a", "c/1"]),
        ({"text": "TRUE", "tag": "x y"}, ["a"]),
        ({"reason": "exit"}, []),
        ({"error": "0123456789ab"}, []),
        ({"all": True}, ["a", "b", "c/1"]),
        ({"batch": "b1", "after": "a"}, ["b", "c/1"]),
    ],
)
async def test_many_jobs_are_cancelled(service: ControlPlane, selection: Any, cancelled: list[str]) -> None:
    await service.push(
        {"id": "a", "cmd": "true", "tags": ["x y"]}, {"id": "b", "cmd": "true", "lane": 2}, {"id": "c/1", "cmd": "true"}
    )

    answer = await service.post("manage/demo/cancel", {**selection, "message": "enough"})

    assert answer.json() == {"matched": len(cancelled), "changed": len(cancelled), "refused": [], "next": None}
    assert [name for name, state in (await states(service)).items() if state == "cancelled"] == cancelled


@pytest.mark.parametrize(
    ("what", "body", "state"),
    [("cancel", {}, "cancelled"), ("remove", {}, None), ("move", {"from": 0, "to": 1}, "queued")],
)
async def test_request_works_for_a_while_and_says_where_to_go_on(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch, what: str, body: Any, state: str | None
) -> None:
    # Given more jobs than there is time for
    monkeypatch.setattr("jobq_service.realms.WORK_SECONDS", 0.0)
    monkeypatch.setattr("jobq.core.bulk.PART", 2)
    names = [f"j{n}" for n in range(5)]
    await service.push(*({"id": name, "cmd": "true"} for name in names))
    asked = {"batch": "b1", **body}

    # When they are asked for, and the first request is repeated, as after a lost answer
    first = (await service.post(f"manage/demo/{what}", asked)).json()
    again = (await service.post(f"manage/demo/{what}", asked)).json()
    parts, after = [first, again], again["next"]
    while after:
        parts.append((await service.post(f"manage/demo/{what}", {**asked, "after": after})).json())
        after = parts[-1]["next"]

    # Then each request does a part, none is refused, and every job is done once
    assert (first["matched"], first["changed"]) == (2, 2)
    assert sum(part["changed"] for part in parts) == 5
    assert not any(part["refused"] for part in parts)
    assert await states(service) == (dict.fromkeys(names, state) if state else {})


async def test_lane_is_cleared_in_parts(service: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq_service.realms.WORK_SECONDS", 0.0)
    monkeypatch.setattr("jobq.core.bulk.PART", 2)
    await service.push(*({"id": name, "cmd": "true"} for name in "abc"))

    first = (await service.delete("manage/demo/lanes/0/jobs")).json()
    second = (await service.delete(f"manage/demo/lanes/0/jobs?after={first['next']}")).json()

    assert (first["changed"], first["next"]) == (2, "b")
    assert (second["changed"], second["next"]) == (1, None)


async def test_many_failed_jobs_are_queued_again(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true"})
    await service.fail("a")

    answer = await service.post("manage/demo/retry", {"batch": "b1"})

    assert answer.json() == {"matched": 1, "changed": 1, "refused": [], "next": None}
    assert await states(service) == {"a": "queued", "b": "queued"}


async def test_many_jobs_are_removed_and_what_was_not_there_is_named(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true"})

    answer = (await service.post("manage/demo/remove", {"ids": ["a", "z"]})).json()

    assert (answer["matched"], answer["changed"]) == (2, 1)
    assert [refused["id"] for refused in answer["refused"]] == ["z"]
    assert await states(service) == {"b": "queued"}


@pytest.mark.parametrize("what", ["cancel", "retry", "remove"])
@pytest.mark.parametrize(
    "selection", [{}, {"ids": []}, {"tag": ""}, {"ids": ["a"], "tag": "x"}, {"ids": ["a"], "all": True}, None]
)
async def test_empty_or_double_selection_changes_nothing(service: ControlPlane, what: str, selection: Any) -> None:
    await service.push({"id": "a", "cmd": "true", "tags": ["x"]})

    answer = await service.post(f"manage/demo/{what}", selection)

    assert answer.status_code == 400
    assert "say which jobs" in answer.json()["detail"]
    assert await states(service) == {"a": "queued"}


@pytest.mark.parametrize(
    "selection",
    [
        {"idz": ["a"]},
        {"ids": "a"},
        {"ids": [""]},
        {"state": "done"},
        {"lane": 1.5},
        {"tag": 7},
        {"batch": "a b"},
        {"error": "x"},
        {"tag": "x", "after": "~"},
        {"ids": ["a"], "after": "b"},
    ],
)
async def test_bad_selection_is_refused(service: ControlPlane, selection: Any) -> None:
    answer = await service.post("manage/demo/cancel", selection)

    assert answer.status_code == 400


async def test_clearing_a_lane_removes_what_is_queued_in_it(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true", "lane": 2})

    answer = await service.delete("manage/demo/lanes/2/jobs")

    assert answer.json() == {"matched": 1, "changed": 1, "refused": [], "next": None}
    assert await states(service) == {"a": "queued"}


async def test_lane_that_breaks_the_rule_is_refused(service: ControlPlane) -> None:
    assert (await service.delete("manage/demo/lanes/Lane/jobs")).status_code == 400


@pytest.mark.parametrize("asked", [None, {}, {"repair": False}, {"repair": True}])
async def test_sweep_says_what_it_found(service: ControlPlane, asked: Any) -> None:
    answer = await service.post("manage/demo/sweep", asked)

    names = {"outbox_rows", "folded", "dead_workers", "dead_letters", "repaired", "files"}
    assert answer.json() == dict.fromkeys(names, 0)


async def test_sweep_with_repair_queues_again_what_nobody_holds(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.force("a", JobState.RUNNING, worker="dead")

    answer = await service.post("manage/demo/sweep", {"repair": True})

    assert answer.json()["repaired"] == 1
    assert await states(service) == {"a": "queued"}
