"""Bulk commands across realms: answered entry by entry, and a realm in trouble leaves the others alone."""

from __future__ import annotations

from typing import Any

import pytest

from jobq.core.push import Push
from jobq.errors import IllegalTransition, Unreachable
from jobq.model.job import JobState
from jobq.model.names import id_in_batch
from jobq_service.submissions import MAX_REALMS
from tests.service.control_plane import NDJSON, ControlPlane

JOBS = [
    {"realm": "aaa", "id": "x", "cmd": "true"},
    {"realm": "bbb", "id": "x", "data": [1]},
    {"realm": "aaa", "cmd": "true", "lane": 3},
]


async def queued(service: ControlPlane, realm: str) -> int:
    return int((await service.get(f"status/{realm}/total")).json()["queued"])


def refusing(monkeypatch: pytest.MonkeyPatch, realm: str, error: Exception) -> None:
    """Have that realm take no pushes."""
    run = Push.run

    async def refused(push: Push, jobs: Any) -> Any:
        if push.realm.name == realm:
            raise error
        return await run(push, jobs)

    monkeypatch.setattr(Push, "run", refused)


async def test_jobs_of_several_realms_are_answered_in_their_order(service: ControlPlane) -> None:
    answer = await service.post("enqueue", {"batch": "b1", "jobs": JOBS})

    assert answer.status_code == 200
    fate = {"status": "queued", "state": "queued"}
    assert answer.json() == {
        "batch": "b1",
        "results": [
            {"realm": "aaa", "id": "x", **fate},
            {"realm": "bbb", "id": "x", **fate},
            {"realm": "aaa", "id": id_in_batch("b1", 3), **fate},
        ],
    }
    assert [await queued(service, realm) for realm in ("aaa", "bbb")] == [2, 1]


async def test_lines_name_their_realms_too(service: ControlPlane) -> None:
    lines = '{"realm":"aaa","cmd":"a"}\n\n{"realm":"bbb","cmd":"b"}\n'

    answer = await service.post("enqueue?batch=nd&chunk=2", content=lines, headers=NDJSON)

    assert [result["realm"] for result in answer.json()["results"]] == ["aaa", "bbb"]


async def test_refused_job_is_answered_beside_the_others(service: ControlPlane) -> None:
    await service.post("enqueue/aaa/jobs", {"jobs": [{"id": "x", "cmd": "false"}]})

    answer = await service.post("enqueue", {"jobs": JOBS, "if_exists": "add"})

    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["refused", "queued", "queued"]


async def test_realm_that_takes_nothing_leaves_the_others_alone(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "aaa", IllegalTransition("it is being deleted"))

    answer = await service.post("enqueue", {"jobs": JOBS})

    assert answer.status_code == 207
    assert [(one["status"], one["state"]) for one in answer.json()["results"]] == [
        ("refused", None),
        ("queued", "queued"),
        ("refused", None),
    ]
    assert answer.json()["results"][0]["error"] == "it is being deleted"


async def test_backend_in_trouble_is_not_taken_for_a_refusal(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing(monkeypatch, "bbb", Unreachable("it does not answer"))

    assert (await service.post("enqueue", {"jobs": JOBS})).status_code == 503


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"cmd": "true"}, "'realm'"),
        ({"cmd": "true", "realm": 7}, "'realm'"),
        ({"cmd": "true", "realm": "No Realm"}, "'No Realm'"),
        ({"realm": "aaa"}, "'cmd'"),
        ({"realm": "aaa", "id": "x", "cmd": "true"}, "'x'"),
        ("true", "object"),
    ],
)
async def test_one_bad_job_refuses_the_request_and_stores_nothing(service: ControlPlane, job: Any, says: str) -> None:
    answer = await service.post("enqueue", {"jobs": [*JOBS, job]})

    assert (answer.status_code, answer.json()["index"]) == (400, 3)
    assert says in answer.json()["detail"]
    assert (await service.get("status")).json() == {"realms": []}


async def test_job_of_one_realm_names_none(service: ControlPlane) -> None:
    answer = await service.post("enqueue/aaa/jobs", {"jobs": [{"realm": "aaa", "cmd": "true"}]})

    assert answer.status_code == 400
    assert "'realm'" in answer.json()["detail"]


async def test_more_realms_than_a_request_may_have_are_too_many(service: ControlPlane) -> None:
    jobs = [{"realm": f"realm-{number}", "cmd": "true"} for number in range(MAX_REALMS + 1)]

    pushed = await service.post("enqueue", {"jobs": jobs})
    removed = await service.post("manage/remove", {"jobs": [{"realm": job["realm"], "id": "x"} for job in jobs]})

    assert (pushed.status_code, removed.status_code) == (413, 413)
    assert (await service.get("status")).json() == {"realms": []}


async def test_jobs_of_several_realms_are_removed_one_by_one(service: ControlPlane) -> None:
    await service.post("enqueue", {"batch": "b1", "jobs": [*JOBS, {"realm": "demo", "id": "runs", "cmd": "true"}]})
    await service.force("runs", JobState.RUNNING, worker="w")

    asked = [("bbb", "x"), ("aaa", "nope"), ("demo", "runs"), ("aaa", "x")]
    answer = await service.post("manage/remove", {"jobs": [{"realm": realm, "id": job} for realm, job in asked]})

    assert answer.status_code == 207
    results = answer.json()["results"]
    assert [(one["realm"], one["id"]) for one in results] == asked
    assert [one["status"] for one in results] == ["removed", "refused", "asked", "removed"]
    assert "nope" in results[1]["error"]
    assert [await queued(service, realm) for realm in ("aaa", "bbb")] == [1, 0]


async def test_removal_of_all_that_is_asked_for_is_answered_as_done(service: ControlPlane) -> None:
    await service.post("enqueue", {"jobs": [{"realm": "aaa", "id": 7, "cmd": "true"}]})

    answer = await service.post("manage/remove", {"jobs": [{"realm": "aaa", "id": 7}]})

    assert (answer.status_code, answer.json()) == (
        200,
        {"results": [{"realm": "aaa", "id": "7", "status": "removed"}]},
    )


async def test_job_that_is_named_twice_is_removed_once(service: ControlPlane) -> None:
    await service.post("enqueue", {"jobs": JOBS})

    answer = await service.post("manage/remove", {"jobs": [{"realm": "aaa", "id": "x"}] * 2})

    assert [one["status"] for one in answer.json()["results"]] == ["removed", "removed"]


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {},
        {"jobs": []},
        {"jobs": [{"id": "x"}]},
        {"jobs": [{"realm": "aaa"}]},
        {"jobs": [{"realm": "No Realm", "id": "x"}]},
        {"jobs": [{"realm": "aaa", "id": ""}]},
        {"jobs": [{"realm": "aaa", "id": "x"}, {"realm": "aaa", "id": True}]},
        {"jobs": [{"realm": "aaa", "id": "x", "tag": "t"}]},
    ],
)
async def test_bad_removal_changes_nothing(service: ControlPlane, asked: Any) -> None:
    await service.post("enqueue", {"jobs": JOBS})

    answer = await service.post("manage/remove", asked)

    assert answer.status_code == 400
    assert await queued(service, "aaa") == 2


async def test_realm_called_remove_is_a_realm_like_any_other(service: ControlPlane) -> None:
    await service.post("enqueue/remove/jobs", {"jobs": [{"id": "x", "cmd": "true"}]})

    answer = await service.post("manage/remove/remove", {"ids": ["x"]})

    assert (answer.status_code, answer.json()["changed"]) == (200, 1)
