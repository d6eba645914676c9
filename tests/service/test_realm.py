"""What a realm is set to, moves between its lanes, and its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from jobq.model.files import digest_of, name_in
from jobq.model.job import JobState
from jobq_service import tick
from tests.service.control_plane import ControlPlane

FILE = name_in("202611", digest_of(b"data"))


async def change(service: ControlPlane, asked: Any, realm: str = "demo") -> httpx.Response:
    return await service.ask("PATCH", f"manage/{realm}", **({} if asked is None else {"json": asked}))


async def lanes(service: ControlPlane) -> dict[str, list[str]]:
    page = (await service.get("status/demo/jobs")).json()
    return {job["id"]: job["lanes"] for job in page["jobs"]}


async def test_leases_are_set_and_shown_in_seconds(service: ControlPlane) -> None:
    changed = await change(service, {"lease": "2h", "lane_leases": {"3": 90, "low": "1.5m"}})

    shown = (await service.get("status/demo/settings")).json()

    assert (changed.status_code, changed.json()) == (200, shown)
    assert (shown["realm"], shown["lanes"], shown["paused"], shown["deleting"]) == ("demo", ["0"], [], False)
    assert (shown["lease"], shown["lane_leases"]) == (7200.0, {"3": 90.0, "low": 90.0})
    assert shown["created_at"]


async def test_lease_that_is_not_named_stays_and_zero_takes_it_away(service: ControlPlane) -> None:
    await change(service, {"lease": 60, "lane_leases": {"3": 90, "4": 90}})

    kept = await change(service, {"lease": None, "lane_leases": {"3": 0}})
    gone = await change(service, {"lease": 0})

    assert (kept.json()["lease"], kept.json()["lane_leases"]) == (60.0, {"4": 90.0})
    assert (gone.json()["lease"], gone.json()["lane_leases"]) == (None, {"4": 90.0})


async def test_checkout_lasts_as_long_as_its_lane_or_its_realm_says(service: ControlPlane) -> None:
    await service.push(*({"cmd": "true", "lane": lane} for lane in (0, 3)))
    await change(service, {"lease": 120, "lane_leases": {"3": 90}})

    jobs = (await service.post("checkout/demo/jobs", {"count": 2})).json()["jobs"]

    assert {job["lane"]: job["lease"] for job in jobs} == {"0": 120.0, "3": 90.0}


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (None, "say what to set"),
        ({}, "say what to set"),
        ({"lease": None}, "say what to set"),
        ({"lease": "soon"}, "'lease': 'soon' is not a duration"),
        ({"lease": -1}, "lease"),
        ({"lease": "8d"}, "7 days"),
        ({"lease": 0.5}, "0.5"),
        ({"lane_leases": {"3": None}}, "lane_leases.3"),
        ({"lane_leases": {"3": "soon"}}, "'lane_leases.3': 'soon'"),
        ({"lane_leases": {"Lane": 60}}, "'Lane'"),
        ({"lane_leases": [["3", 60]]}, "lane_leases"),
        ({"leases": 60}, "leases"),
    ],
)
async def test_bad_setting_changes_nothing(service: ControlPlane, asked: Any, says: str) -> None:
    answer = await change(service, asked)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert (await service.get("status/demo/settings")).status_code == 404


async def test_realm_that_was_never_used_has_no_settings(service: ControlPlane) -> None:
    assert (await service.get("status/demo/settings")).status_code == 404


@pytest.mark.parametrize(
    ("selection", "moved"),
    [
        ({"ids": ["a", "b"]}, ["a", "b"]),
        ({"tag": "t"}, ["a"]),
        ({"batch": "b1", "state": "queued"}, ["a", "b"]),
        ({}, ["a", "b"]),
    ],
)
async def test_jobs_are_moved_between_lanes(service: ControlPlane, selection: Any, moved: list[str]) -> None:
    jobs = {"a": {"lane": 5, "tags": ["t"]}, "b": {"lane": 5}, "c": {"lane": 7, "tags": ["t"]}}
    await service.push(*({"id": name, "cmd": "true", **more} for name, more in jobs.items()))

    answer = await service.post("manage/demo/move", {**selection, "from": 5, "to": "2"})

    assert answer.json() == {"matched": len(moved), "changed": len(moved), "refused": [], "next": None}
    assert [name for name, where in (await lanes(service)).items() if where == ["2"]] == moved
    taken = (await service.post("checkout/demo/jobs", {"count": 9, "max_lane": 2})).json()["jobs"]
    assert sorted(job["id"] for job in taken) == moved


async def test_job_that_is_checked_out_is_not_moved(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true", "lane": 3})
    await service.post("checkout/demo/jobs")

    answer = await service.post("manage/demo/move", {"ids": ["a", "b", "c"], "from": 0, "to": 2})

    assert (answer.json()["matched"], answer.json()["changed"]) == (3, 0)
    assert [one["id"] for one in answer.json()["refused"]] == ["a", "b", "c"]
    assert await lanes(service) == {"a": ["0"], "b": ["3"]}


@pytest.mark.parametrize(
    "asked",
    [
        None,
        {"from": 0},
        {"to": 2},
        {"from": 0, "to": 0},
        {"from": 0, "to": "0"},
        {"from": "Lane 1", "to": 2},
        {"from": 0, "to": 10_000},
        {"from": 0, "to": 2, "ids": []},
        {"from": 0, "to": 2, "ids": ["a"], "tag": "t"},
        {"source": 0, "target": 2},
        {"from": 0, "to": 2.0},
    ],
)
async def test_bad_move_is_refused(service: ControlPlane, asked: Any) -> None:
    await service.push({"id": "a", "cmd": "true", "tags": ["t"]})

    answer = await service.post("manage/demo/move", asked)

    assert answer.status_code == 400
    assert await lanes(service) == {"a": ["0"]}


async def test_deleted_realm_takes_and_gives_nothing_more(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})

    answers = [await service.delete("manage/demo"), await service.delete("manage/demo")]

    assert {answer.status_code for answer in answers} == {202}
    assert answers[0].json() == {"realm": "demo", "deleting": True}
    assert (await service.get("status/demo/settings")).json()["deleting"]
    assert (await service.post("checkout/demo/jobs")).json() == {"jobs": []}
    assert (await service.post("checkout")).json() == {"jobs": []}
    for refused in (
        await service.push({"cmd": "true"}),
        await service.ask("PUT", "enqueue/demo/jobs/b", json={"cmd": "true"}),
        await change(service, {"lease": 60}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:jobq:realm-closed")
        assert "being deleted" in refused.json()["detail"]


async def test_bulk_push_tells_of_the_realm_that_is_being_deleted(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.delete("manage/demo")

    answer = await service.post(
        "enqueue", {"jobs": [{"realm": "demo", "cmd": "true"}, {"realm": "other", "cmd": "true"}]}
    )

    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()["results"]] == ["refused", "queued"]


async def test_realm_that_was_never_used_cannot_be_deleted(service: ControlPlane) -> None:
    assert (await service.delete("manage/demo")).status_code == 404


async def test_timer_removes_what_is_in_a_deleted_realm_and_then_the_realm(service: ControlPlane) -> None:
    # Given a deleted realm, and another
    await service.push({"id": "a", "cmd": "true", "tags": ["t"]})
    await service.force("a", JobState.SUCCEEDED)
    await service.post("enqueue/other/jobs", {"jobs": [{"cmd": "true"}]})
    await service.delete("manage/demo")

    # When the timer fires, now and long after
    await tick.sweep_realms(service.realms, "me")
    emptied = await service.get("status/demo/jobs")
    still_there = (await service.get("status")).json()
    demo = service.realms.realm("demo")
    began = demo.now()
    demo.now = lambda: began + timedelta(hours=1)
    await tick.sweep_realms(service.realms, "me")

    # Then its jobs go first, and its name last
    assert emptied.json()["jobs"] == []
    assert still_there == {"realms": ["demo", "other"]}
    assert (await service.get("status")).json() == {"realms": ["other"]}
    assert (await service.get("status/demo/total")).json()["total"] == 0
    assert (await service.get("status/other/total")).json()["queued"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "enqueue/demo/jobs", {"jobs": [{"cmd": "true"}]}),
        ("PUT", "enqueue/demo/jobs/a", {"cmd": "true"}),
        ("POST", "enqueue/demo/files", {"names": [FILE]}),
        ("GET", f"checkout/demo/files/{FILE}", None),
        ("POST", "checkout/demo/jobs", None),
        ("POST", "checkout/demo/jobs/a/ack", {"token": "t"}),
        ("POST", "checkout/demo/jobs/a/nack", {"token": "t"}),
        ("POST", "checkout/demo/jobs/a/extend", {"token": "t"}),
        ("POST", "manage/demo/jobs/a/cancel", None),
        ("POST", "manage/demo/jobs/a/retry", None),
        ("POST", "manage/demo/jobs/a/preempt", None),
        ("DELETE", "manage/demo/jobs/a", None),
        ("POST", "manage/demo/cancel", {"ids": ["a"]}),
        ("POST", "manage/demo/retry", {"ids": ["a"]}),
        ("POST", "manage/demo/preempt", {"ids": ["a"]}),
        ("POST", "manage/demo/remove", {"ids": ["a"]}),
        ("POST", "manage/demo/retry", {"state": "queued"}),
        ("POST", "manage/demo/move", {"from": 0, "to": 1}),
        ("DELETE", "manage/demo/lanes/0/jobs", None),
        ("POST", "manage/demo/pause", None),
        ("POST", "manage/demo/resume", None),
        ("POST", "manage/demo/sweep", {"repair": True}),
        ("POST", "manage/demo/workers/w/drain", None),
        ("POST", "manage/demo/workers/w/preempt", None),
        ("PATCH", "manage/demo", {"lease": 60}),
        ("DELETE", "manage/demo", None),
        ("GET", "status/demo", None),
        ("GET", "status/demo/jobs/a/log", None),
    ],
)
async def test_what_a_closed_realm_answers_is_documented(
    service: ControlPlane, method: str, path: str, body: object
) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.delete("manage/demo")

    answer = await service.ask(method, path, **({"json": body} if body else {}))

    assert answer.status_code in (200, 202, 404, 409)


async def test_file_of_a_closed_realm_is_refused_as_documented(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.delete("manage/demo")

    headers = {"content-type": "application/octet-stream"}
    answer = await service.ask("PUT", f"enqueue/demo/files/{FILE}", content=b"data", headers=headers)

    assert answer.status_code == 409
