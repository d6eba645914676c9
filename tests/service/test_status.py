"""What the status routes answer. None of them changes anything."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.logs import LogTimes, log_key, times_key
from jobq.core.workers import WorkerRow
from jobq.model.counts import Gpu
from jobq.model.durations import to_iso, utc_now
from jobq.model.fingerprint import error_of
from jobq.model.job import JobState, Reason
from jobq.model.names import escape
from tests.service.control_plane import ControlPlane


async def test_realms_are_listed_once_they_have_jobs(service: ControlPlane) -> None:
    assert (await service.get("status")).json() == {"realms": []}

    await service.push({"cmd": "true"})

    assert (await service.get("status")).json() == {"realms": ["demo"]}


async def test_realm_is_counted_by_lane_tag_and_batch(service: ControlPlane) -> None:
    await service.push({"cmd": "true", "tags": ["a b"]}, {"cmd": "true", "lane": 2}, {"cmd": "true", "id": "bad"})
    await service.fail("bad")

    status = (await service.get("status/demo")).json()

    assert (status["total"], status["queued"], status["failed"]) == (3, 2, 1)
    assert {lane: counts["total"] for lane, counts in status["lanes"].items()} == {"0": 2, "2": 1}
    assert {tag: counts["total"] for tag, counts in status["tags"].items()} == {"a b": 1}
    assert {batch: counts["total"] for batch, counts in status["batches"].items()} == {"b1": 3}
    assert status["workers"] == 0


async def test_total_is_the_realm_alone(service: ControlPlane) -> None:
    await service.push({"cmd": "true"})

    total = (await service.get("status/demo/total")).json()

    expected = {"realm": "demo", "total": 1, "queued": 1, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    assert total == expected


async def test_realm_that_was_never_used_counts_zero(service: ControlPlane) -> None:
    assert (await service.get("status/unused/total")).json()["total"] == 0


async def test_tag_is_asked_for_by_its_escaped_name(service: ControlPlane) -> None:
    tag = "größe/50% a?b#c"
    await service.push({"cmd": "true", "tags": [tag]})

    answer = await service.get(f"status/demo/tags/{escape(tag)}")

    assert (answer.json()["tag"], answer.json()["queued"]) == (tag, 1)


async def test_batch_is_counted(service: ControlPlane) -> None:
    await service.push({"cmd": "true"}, batch="exp.7_a-b")

    answer = await service.get("status/demo/batches/exp.7_a-b")

    assert (answer.json()["batch"], answer.json()["total"]) == ("exp.7_a-b", 1)


@pytest.mark.parametrize("what", ["tags/none", "batches/none", "jobs/none", "jobs/none/log", "jobs/a/log?attempt=2"])
async def test_what_there_is_not_is_not_found(service: ControlPlane, what: str) -> None:
    await service.push({"id": "a", "cmd": "true"})

    answer = await service.get(f"status/demo/{what}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:jobq:not-found"


async def test_pages_of_jobs_follow_each_other(service: ControlPlane) -> None:
    names = [f"{n} /" for n in "abcde"]
    await service.push(*({"id": name, "cmd": "true"} for name in names))

    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await service.get("status/demo/jobs", limit=2, after=after)).json()
        seen += [job["id"] for job in page["jobs"]]
        after = page["next"]

    assert seen == names


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"tag": "x/y"}, ["t"]),
        ({"lane": "2"}, ["l"]),
        ({"state": "failed"}, ["f"]),
        ({"batch": "b1"}, ["f", "l", "t"]),
        ({"batch": "b2"}, []),
        ({"tag": "x/y", "state": "failed"}, []),
        ({}, ["f", "l", "t"]),
    ],
)
async def test_jobs_are_filtered(service: ControlPlane, query: dict[str, str], found: list[str]) -> None:
    await service.push(
        {"id": "t", "cmd": "true", "tags": ["x/y"]}, {"id": "l", "cmd": "true", "lane": 2}, {"id": "f", "cmd": "true"}
    )
    await service.fail("f")

    page = (await service.get("status/demo/jobs", **query)).json()

    assert [job["id"] for job in page["jobs"]] == found
    assert page["next"] is None


async def test_jobs_are_listed_and_counted_by_reason_text_and_error(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "fit.py"}, {"id": "b", "cmd": "plot.py"}, {"id": "c", "kwargs": {"x": "Fit"}})
    await service.fail("a")
    await service.force("b", JobState.CANCELLED, reason=Reason.CANCELLED)
    error = error_of(await service.realms.realm("demo").read("a"))
    assert error is not None
    for query, found in (
        ({"reason": "exit"}, ["a"]),
        ({"reason": "cancelled", "text": "PLOT"}, ["b"]),
        ({"text": "fit"}, ["a", "c"]),
        ({"error": error.key}, ["a"]),
        ({"error": error.key, "state": "queued"}, []),
    ):
        page = (await service.get("status/demo/jobs", **query)).json()
        count = (await service.get("status/demo/jobs/count", **query)).json()
        assert [job["id"] for job in page["jobs"]] == found
        assert count == {"count": len(found), "next": None}


async def test_job_whose_id_is_count_is_a_job_all_the_same(service: ControlPlane) -> None:
    await service.push({"id": "count", "cmd": "true"})

    assert (await service.get("status/demo/jobs/count")).json() == {"count": 1, "next": None}
    assert (await service.get("status/demo/jobs/!63ount")).json()["id"] == "count"
    assert (await service.post("manage/demo/jobs/count/cancel")).json()["state"] == "cancelled"


async def test_running_jobs_are_those_that_are_counted_so(service: ControlPlane) -> None:
    await service.push(*({"id": name, "cmd": "true"} for name in "abc"))
    await service.run("b")
    await service.force("c", JobState.RUNNING, worker="gone")

    total = (await service.get("status/demo/total")).json()

    for state, found in (("running", ["b"]), ("queued", ["a", "c"])):
        page = (await service.get("status/demo/jobs", state=state)).json()
        assert [job["id"] for job in page["jobs"]] == found
        assert total[state] == len(found)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "reason=bad",
        "error=zz",
        "text=" + "x" * 201,
        "limit=1001",
        "limit=x",
        "state=done",
        "after=~",
        "tag=%00",
        "batch=a%20b",
        "lane=-1",
    ],
)
async def test_bad_queries_are_refused(service: ControlPlane, query: str) -> None:
    answer = await service.get(f"status/demo/jobs?{query}")

    assert answer.status_code == 400
    assert answer.json()["detail"]


async def test_failed_job_shows_why_and_its_last_lines(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "false", "env": {"TOKEN": "sesame"}})
    await service.fail("a")

    answer = await service.get("status/demo/jobs/a")

    job = answer.json()
    assert (job["state"], job["reason"], job["exit_code"], job["attempts"]) == ("failed", "exit", 3, 1)
    assert job["output_tail"] == "no such file"
    assert "sesame" not in answer.text


async def test_large_command_is_shown_whole(service: ControlPlane) -> None:
    command = "echo " + "x" * 50_000
    await service.push({"id": "a", "cmd": command})

    assert (await service.get("status/demo/jobs/a")).json()["command"] == command


async def test_log_is_answered_as_it_was_written(service: ControlPlane) -> None:
    await service.push({"id": "a/1", "cmd": "true"})
    await service.force("a/1", JobState.RUNNING, attempt=1, worker="w")
    await service.realms.realm("demo").stack.blobs.append(log_key("demo", "a/1", 1), b"<script>\xff one\ntwo\n")

    whole = await service.get("status/demo/jobs/a!2f1/log")
    rest = await service.get("status/demo/jobs/a!2f1/log", attempt=1, start=14)

    assert whole.content == b"<script>\xff one\ntwo\n"
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert rest.content == b"two\n"


async def test_log_is_answered_since_a_time(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})
    await service.force("a", JobState.RUNNING, attempt=1, worker="w")
    now, blobs = utc_now(), service.realms.realm("demo").stack.blobs
    await blobs.append(log_key("demo", "a", 1), b"one\ntwo\n")
    await blobs.put(times_key("demo", "a", 1), LogTimes([(now - timedelta(minutes=30), 4)]).encoded())

    logs = [(await service.get("status/demo/jobs/a/log", since=since)).content for since in ("1h", "1m", to_iso(now))]
    start = await service.get("status/demo/jobs/a/log/start", since="1m", attempt=1)

    assert logs == [b"one\ntwo\n", b"two\n", b"two\n"]
    assert start.json() == {"start": 4}
    assert (await service.get("status/demo/jobs/a/log", since="1h", start=5)).content == b"wo\n"
    for path in ("log?since=yesterday", "log/start?since=yesterday", "log/start"):
        assert (await service.get(f"status/demo/jobs/a/{path}")).status_code == 400
    assert (await service.get("status/demo/jobs/none/log/start?since=1h")).status_code == 404


async def test_job_without_output_has_an_empty_log(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"})

    answer = await service.get("status/demo/jobs/a/log")

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("query", ["attempt=0", "attempt=x", "start=-1"])
async def test_bad_log_queries_are_refused(service: ControlPlane, query: str) -> None:
    assert (await service.get(f"status/demo/jobs/a/log?{query}")).status_code == 400


async def test_workers_are_listed(service: ControlPlane) -> None:
    assert (await service.get("status/demo/workers")).json() == {"workers": []}

    row = WorkerRow(service.realms.realm("demo"), "w", 2, {"zone": "1"}, "acme/fit@sha256:0123")
    await row.beat([], believe=timedelta(minutes=1), machine={"cpu": 0.5}, gpus=[Gpu("A100", 0.35, None)])

    (worker,) = (await service.get("status/demo/workers")).json()["workers"]
    assert (worker["id"], worker["labels"], worker["image"]) == ("w", {"zone": "1"}, "acme/fit@sha256:0123")
    assert (worker["cpu"], worker["memory"]) == (0.5, None)
    assert worker["gpus"] == [{"name": "A100", "use": 0.35, "memory": None}]


async def test_where_names_the_queue_to_pull_from(service: ControlPlane) -> None:
    assert (await service.get("status/demo/where")).json() == {"address": "memory:/demo", "tables": ""}


async def test_path_that_is_no_escaped_name_is_refused(service: ControlPlane) -> None:
    assert (await service.get("status/demo/jobs/!ff")).status_code == 400
