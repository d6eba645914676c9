"""Checkout over HTTP: jobs leased to whoever asks, and what becomes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from jobq.core.ports import create
from jobq.core.rows import REALMS
from jobq.model.files import digest_of, name_in
from tests.service.control_plane import ControlPlane

JOB = {"id": "a/1", "cmd": "true", "env": {"KEY": "secret"}, "tags": ["t"], "timeout": 60}


async def take(service: ControlPlane, **asked: Any) -> list[dict[str, Any]]:
    """The jobs of realm demo that a checkout gives."""
    answer = await service.post("checkout/demo/jobs", asked)
    assert answer.status_code == 200
    jobs: list[dict[str, Any]] = answer.json()["jobs"]
    return jobs


async def settle(service: ControlPlane, what: str, token: str, job: str = "a!2f1", **asked: Any) -> httpx.Response:
    return await service.post(f"checkout/demo/jobs/{job}/{what}", {"token": token, **asked})


async def test_checked_out_job_comes_with_all_that_its_caller_needs(service: ControlPlane) -> None:
    await service.push(JOB)

    answer = await service.post("checkout/demo/jobs", {"lease": "90s"})

    assert answer.headers["cache-control"] == "no-store"
    (job,) = answer.json()["jobs"]
    assert {name: job[name] for name in ("realm", "id", "lane", "command", "data", "env", "tags", "attempt")} == {
        "realm": "demo",
        "id": "a/1",
        "lane": "0",
        "command": "true",
        "data": "true",
        "env": {"KEY": "secret"},
        "tags": ["t"],
        "attempt": 1,
    }
    assert (job["lease"], job["timeout"], job["cancel_requested"], job["kwargs"]) == (90.0, 60.0, False, None)
    assert job["token"]
    assert job["expires_at"] > "2026"


async def test_checked_out_job_is_nobody_elses_and_counts_as_running(service: ControlPlane) -> None:
    await service.push(JOB)

    taken, again = await take(service), await take(service)

    assert (len(taken), again) == (1, [])
    assert (await service.get("status/demo/total")).json()["running"] == 1
    assert (await service.get("status/demo")).json()["workers"] == 0
    assert (await service.get("status/demo/workers")).json() == {"workers": []}


async def test_checkout_takes_one_job_unless_more_are_asked_for(service: ControlPlane) -> None:
    await service.push(*({"cmd": "true"} for _ in range(5)))

    one, three, rest = (
        await service.post("checkout/demo/jobs"),
        await take(service, count=3),
        await take(service, count=9),
    )

    assert [len(one.json()["jobs"]), len(three), len(rest)] == [1, 3, 1]


async def test_jobs_come_from_the_lowest_lane_on_and_not_beyond_the_highest_asked_for(service: ControlPlane) -> None:
    await service.push(*({"id": f"j{lane}", "cmd": "true", "lane": lane} for lane in ("low", 10, 2, 0)))

    jobs = await take(service, count=9, max_lane=10)

    assert [(job["id"], job["lane"]) for job in jobs] == [("j0", "0"), ("j2", "2"), ("j10", "10")]
    assert [job["id"] for job in await take(service, max_lane="low")] == ["jlow"]


async def test_jobs_of_all_realms_come_from_the_lowest_lane_over_all_of_them(service: ControlPlane) -> None:
    for realm, lane in (("aaa", 1), ("bbb", 0), ("ccc", 2)):
        await service.post(f"enqueue/{realm}/jobs", {"jobs": [{"id": f"of {realm}", "cmd": "true", "lane": lane}]})
    await service.realms.realm("aaa").stack.table.commit(REALMS, [create("No Realm", {"lanes": "0"})])

    some = await service.post("checkout", {"realms": ["aaa", "ccc", "aaa", "never-used"]})
    rest = await service.post("checkout", {"count": 9})

    assert [(job["realm"], job["id"]) for job in some.json()["jobs"]] == [("aaa", "of aaa")]
    assert [(job["realm"], job["id"]) for job in rest.json()["jobs"]] == [("bbb", "of bbb"), ("ccc", "of ccc")]


async def test_checkout_where_no_realm_is_gives_nothing(service: ControlPlane) -> None:
    assert (await service.post("checkout")).json() == {"jobs": []}
    assert (await service.post("checkout/demo/jobs")).json() == {"jobs": []}
    assert (await service.get("status")).json() == {"realms": []}


async def test_acknowledged_job_has_succeeded_with_its_result(service: ControlPlane) -> None:
    await service.push(JOB)
    (job,) = await take(service)

    first = await settle(service, "ack", job["token"], result={"loss": 0.5}, message="fine")
    again = await settle(service, "ack", job["token"], result={"loss": 0.5})

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["state"], first.json()["result"]) == ("succeeded", {"loss": 0.5})
    assert (await service.get("status/demo/total")).json()["succeeded"] == 1


async def test_job_given_back_is_anybodys(service: ControlPlane) -> None:
    await service.push(JOB)
    (job,) = await take(service)

    answer = await settle(service, "nack", job["token"])

    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert [again["attempt"] for again in await take(service)] == [2]


async def test_job_that_failed_has_no_retries_left(service: ControlPlane) -> None:
    await service.push(JOB)
    (job,) = await take(service)

    answer = await settle(service, "nack", job["token"], failed=True, exit_code=3, message="no such file")

    assert (answer.json()["state"], answer.json()["exit_code"]) == ("failed", 3)
    assert answer.json()["message"] == "no such file"


async def test_job_given_back_for_later_is_not_taken_now(service: ControlPlane) -> None:
    await service.push(JOB)
    (job,) = await take(service)

    await settle(service, "nack", job["token"], delay="1h")

    assert await take(service) == []


async def test_extended_lease_tells_whether_the_job_is_to_end(service: ControlPlane) -> None:
    await service.push(JOB)
    (job,) = await take(service, lease=60)

    before = await settle(service, "extend", job["token"], lease="2h")
    await service.post("manage/demo/jobs/a!2f1/cancel")
    after = await settle(service, "extend", job["token"])

    assert (before.json()["lease"], before.json()["cancel_requested"]) == (7200.0, False)
    assert (after.status_code, after.json()["cancel_requested"]) == (200, True)
    assert after.json()["token"] == job["token"]


@pytest.mark.parametrize("what", ["ack", "nack", "extend"])
async def test_whoever_lost_the_lease_is_told_and_changes_nothing(service: ControlPlane, what: str) -> None:
    await service.push(JOB)
    (first,) = await take(service)
    await settle(service, "nack", first["token"])
    await take(service)

    answer = await settle(service, what, first["token"])

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:jobq:lease-lost")
    assert first["token"] not in answer.text
    assert (await service.get("status/demo/jobs/a!2f1")).json()["state"] == "running"


@pytest.mark.parametrize("what", ["ack", "nack", "extend"])
async def test_removed_job_is_its_holders_no_more(service: ControlPlane, what: str) -> None:
    await service.push(JOB)
    (job,) = await take(service)
    removed = await service.delete("manage/demo/jobs/a!2f1")

    answer = await settle(service, what, job["token"])

    assert removed.status_code == 200
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:jobq:lease-lost")
    assert (await service.get("status/demo/total")).json()["total"] == 0


@pytest.mark.parametrize("what", ["ack", "nack", "extend"])
async def test_what_was_never_taken_is_nobodys(service: ControlPlane, what: str) -> None:
    await service.push(JOB)

    answers = [await settle(service, what, "none"), await settle(service, what, "none", job="nope")]

    assert [answer.json()["type"] for answer in answers] == ["urn:jobq:lease-lost"] * 2
    assert (await service.get("status/demo/total")).json()["queued"] == 1


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"count": 0}, "count"),
        ({"count": 101}, "count"),
        ({"count": 1.5}, "count"),
        ({"count": True}, "count"),
        ({"lease": "soon"}, "duration"),
        ({"lease": -1}, "lease"),
        ({"lease": True}, "lease"),
        ({"lease": "1" * 41}, "lease"),
        ({"lease": 10**9}, "lease"),
        ({"max_lane": "Lane 1"}, "lane"),
        ({"max_lane": -1}, "lane"),
        ({"counts": 1}, "counts"),
        ([], "body"),
    ],
)
async def test_bad_checkout_is_refused(service: ControlPlane, asked: Any, says: str) -> None:
    await service.push(JOB)

    answers = [await service.post(path, asked) for path in ("checkout/demo/jobs", "checkout")]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert all(says in answer.json()["detail"] for answer in answers)
    assert (await service.get("status/demo/total")).json()["queued"] == 1


async def test_lease_is_never_longer_than_a_ticket_can_wait(service: ControlPlane) -> None:
    await service.push(JOB)

    nothing = await service.post("checkout/demo/jobs", {"lease": 0})
    (job,) = await take(service, lease="8d")

    assert nothing.status_code == 400
    assert job["lease"] == timedelta(days=7).total_seconds()


@pytest.mark.parametrize("realms", [[], ["Demo"], ["demo", 7], "demo", [""], ["demo"] * 101])
async def test_bad_realms_are_refused(service: ControlPlane, realms: Any) -> None:
    assert (await service.post("checkout", {"realms": realms})).status_code == 400


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("ack", None),
        ("ack", {}),
        ("ack", {"token": ""}),
        ("ack", {"token": 7}),
        ("ack", {"token": "t", "message": "x" * 1001}),
        ("nack", {"token": "t", "exit_code": "3"}),
        ("nack", {"token": "t", "delay": "soon"}),
        ("nack", {"token": "t", "failed": "yes"}),
        ("extend", {"token": "t", "lease": []}),
        ("extend", {"token": "t", "result": 1}),
    ],
)
async def test_bad_word_of_a_holder_is_refused(service: ControlPlane, what: str, asked: Any) -> None:
    await service.push(JOB)

    answer = await service.post(f"checkout/demo/jobs/a!2f1/{what}", asked)

    assert answer.status_code == 400


@pytest.mark.parametrize("result", ["NaN", "1e999", '"\\ud800"', "[" * 150 + "]" * 150, "9" * 5000])
async def test_result_that_could_not_be_read_back_is_refused(service: ControlPlane, result: str) -> None:
    await service.push(JOB)
    (job,) = await take(service)
    body = '{"token":"' + job["token"] + '","result":' + result + "}"

    answer = await service.post(
        "checkout/demo/jobs/a!2f1/ack", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 400
    assert (await service.get("status/demo/jobs/a!2f1")).json()["state"] == "running"


async def test_files_of_a_job_are_given_as_they_were_stored(service: ControlPlane) -> None:
    data = bytes(range(256)) * 40
    name = name_in("202611", digest_of(data))
    headers = {"content-type": "application/octet-stream"}
    await service.ask("PUT", f"enqueue/demo/files/{name}", content=data, headers=headers)

    answer = await service.get(f"checkout/demo/files/{name}")

    assert (answer.status_code, answer.content) == (200, data)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert (await service.get(f"checkout/other/files/{name}")).status_code == 404


@pytest.mark.parametrize(
    ("name", "status"), [(name_in("202611", digest_of(b"x")), 404), ("x", 400), (digest_of(b"x"), 400)]
)
async def test_file_that_is_not_there_is_not_found(service: ControlPlane, name: str, status: int) -> None:
    answer = await service.get(f"checkout/demo/files/{name}")

    assert answer.status_code == status
    assert name in answer.json()["detail"]


@pytest.mark.parametrize("path", ["checkout/demo/jobs", "checkout", "checkout/demo/jobs/a/ack"])
async def test_nothing_is_taken_or_settled_by_get(service: ControlPlane, path: str) -> None:
    await service.push(JOB)

    answer = await service.get(path)

    assert answer.status_code == 405
    assert (await service.get("status/demo/total")).json()["queued"] == 1
