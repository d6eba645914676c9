"""Pushes over HTTP: refused whole for one bad job, answered job by job otherwise."""

from __future__ import annotations

import json

import pytest

from jobq.model.names import id_in_batch
from jobq_service.submissions import MAX_JOBS
from tests.service.control_plane import NDJSON, ControlPlane


async def test_pushed_jobs_are_queued_under_ids_of_batch_and_position(service: ControlPlane) -> None:
    answer = await service.push({"cmd": "true", "tags": ["exp 7"]}, {"id": "mine", "kwargs": {"n": 1}, "lane": 3})

    assert answer.status_code == 200
    assert answer.json() == {
        "batch": "b1",
        "results": [
            {"id": id_in_batch("b1", 1), "status": "queued", "state": "queued"},
            {"id": "mine", "status": "queued", "state": "queued"},
        ],
    }
    job = (await service.get("status/demo/jobs/mine")).json()
    assert (job["kwargs"], job["lanes"], job["batch"]) == ({"n": 1}, ["3"], "b1")


async def test_push_without_a_batch_is_given_one(service: ControlPlane) -> None:
    answer = (await service.post("enqueue/demo/jobs", {"jobs": [{"cmd": "true"}]})).json()

    assert answer["batch"]
    assert answer["results"][0]["id"] == id_in_batch(answer["batch"], 1)


async def test_repeated_push_finds_its_jobs(service: ControlPlane) -> None:
    await service.push({"cmd": "true"})

    again = await service.push({"cmd": "true"})

    assert again.status_code == 200
    assert again.json()["results"] == [{"id": id_in_batch("b1", 1), "status": "exists", "state": "queued"}]


async def test_repeated_push_with_its_token_is_answered_as_the_first(service: ControlPlane) -> None:
    first = await service.push({"cmd": "true"}, token="t-1")

    again = await service.push({"cmd": "true"}, token="t-1", if_exists="error")

    assert again.json() == first.json()


async def test_push_that_minds_existing_jobs_says_which_were_refused(service: ControlPlane) -> None:
    await service.push({"id": "old", "cmd": "true"})

    answer = await service.push({"id": "old", "cmd": "true"}, {"id": "new", "cmd": "true"}, if_exists="error")

    assert answer.status_code == 207
    assert [result["status"] for result in answer.json()["results"]] == ["refused", "queued"]
    assert "exists" in answer.json()["results"][0]["error"]


async def test_one_bad_job_refuses_the_request_and_stores_nothing(service: ControlPlane) -> None:
    answer = await service.push({"cmd": "true"}, {"cmd": "true", "tgas": ["x"]}, {"cmd": "true"})

    assert answer.status_code == 400
    assert answer.json()["index"] == 1
    assert "'tgas'" in answer.json()["detail"]
    assert (await service.get("status/demo/total")).json()["total"] == 0


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ("true", "an object"),
        ({}, "'cmd'"),
        ({"cmd": "true", "kwargs": {}}, "either"),
        ({"cmd": " "}, "not empty"),
        ({"cmd": "true", "id": ""}, "job's id"),
        ({"cmd": "true", "id": ["x"]}, "'id'"),
        ({"cmd": "true", "id": True}, "'id'"),
        ({"cmd": "true", "tags": ["a\nb"]}, "control character"),
        ({"cmd": "true", "tags": ["x" * 201]}, "200"),
        ({"cmd": "true", "lanes": ["Lane 1"]}, "lane"),
        ({"cmd": "true", "timeout": "soon"}, "duration"),
        ({"cmd": "true", "num_retries": -1}, "num_retries"),
        ({"cmd": "x" * 4_000_001}, "4,000,000"),
    ],
)
async def test_a_bad_job_is_named_with_what_is_wrong(service: ControlPlane, job: object, says: str) -> None:
    answer = await service.post("enqueue/demo/jobs", {"jobs": [{"cmd": "true"}, job]})

    assert answer.status_code == 400
    assert answer.json()["index"] == 1
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    "kwargs",
    ['{"x":1e999}', '{"x":NaN}', '{"x":"\\ud800"}', '{"x":' + "[" * 900 + "]" * 900 + "}", '{"x":' + "9" * 5000 + "}"],
)
async def test_arguments_that_could_not_be_read_back_are_refused(service: ControlPlane, kwargs: str) -> None:
    body = '{"jobs":[{"kwargs":' + kwargs + "}]}"

    answer = await service.post("enqueue/demo/jobs", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert "JSON" in answer.json()["detail"] or "nested" in answer.json()["detail"]


async def test_arguments_nested_as_deep_as_may_be_come_back(service: ControlPlane) -> None:
    nested: object = 1
    for _ in range(97):
        nested = [nested]

    answer = await service.push({"id": "deep", "kwargs": {"x": nested}})

    assert answer.status_code == 200
    assert (await service.get("status/demo/jobs")).json()["jobs"][0]["kwargs"] == {"x": nested}


async def test_two_jobs_of_one_id_are_refused(service: ControlPlane) -> None:
    answer = await service.push({"id": "a", "cmd": "true"}, {"id": "a", "cmd": "false"})

    assert answer.status_code == 400
    assert answer.json()["index"] == 1
    assert "'a'" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "'jobs'"),
        ({"jobs": {}}, "'jobs'"),
        ({"jobs": []}, "no jobs"),
        ({"jobs": [{"cmd": "true"}], "bacth": "b"}, "'bacth'"),
        ({"jobs": [{"cmd": "true"}], "batch": "b 1"}, "'b 1'"),
        ({"jobs": [{"cmd": "true"}], "batch": 7}, "'batch'"),
        ({"jobs": [{"cmd": "true"}], "if_exists": "maybe"}, "if_exists"),
        ({"jobs": [{"cmd": "true"}], "chunk": 0}, "chunk"),
        ({"jobs": [{"cmd": "true"}], "chunk": 1001}, "chunk"),
        ({"jobs": [{"cmd": "true"}], "chunk": True}, "chunk"),
        ({"jobs": [{"cmd": "true"}], "token": "a b"}, "token"),
        ([], "object"),
    ],
)
async def test_a_bad_push_says_what_is_wrong(service: ControlPlane, document: object, says: str) -> None:
    answer = await service.post("enqueue/demo/jobs", document)

    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert "index" not in answer.json()


async def test_more_jobs_than_a_request_may_have_are_too_large(service: ControlPlane) -> None:
    answer = await service.post("enqueue/demo/jobs", {"jobs": [{"cmd": "true"}] * (MAX_JOBS + 1)})

    assert answer.status_code == 413
    assert "same batch" in answer.json()["detail"]


async def test_lines_of_ndjson_are_jobs_and_blank_ones_are_not(service: ControlPlane) -> None:
    lines = '{"cmd":"a"}\n\n{"cmd":"b","id":"second"}\r\n'

    answer = await service.post("enqueue/demo/jobs?batch=nd&chunk=2&if_exists=skip", content=lines, headers=NDJSON)

    assert answer.status_code == 200
    assert answer.json()["batch"] == "nd"
    assert [result["id"] for result in answer.json()["results"]] == [id_in_batch("nd", 1), "second"]


async def test_a_bad_line_of_ndjson_is_named_by_line_and_index(service: ControlPlane) -> None:
    lines = '{"cmd":"a"}\n\n{"cmd" "b"}\n'

    answer = await service.post("enqueue/demo/jobs", content=lines, headers=NDJSON)

    assert answer.status_code == 400
    assert (answer.json()["index"], answer.json()["line"]) == (1, 3)
    assert answer.json()["detail"].startswith("line 3: not valid JSON (column 8")


@pytest.mark.parametrize("query", ["chunk=0", "chunk=x", "batch=a%20b", "if_exists=maybe", "token=a%20b"])
async def test_options_of_ndjson_are_checked(service: ControlPlane, query: str) -> None:
    answer = await service.post(f"enqueue/demo/jobs?{query}", content='{"cmd":"a"}', headers=NDJSON)

    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["detail"]


async def test_a_realm_that_breaks_the_rule_is_refused(service: ControlPlane) -> None:
    answer = await service.post("enqueue/Demo/jobs", {"jobs": [{"cmd": "true"}]})

    assert answer.status_code == 400
    assert "'Demo'" in answer.json()["detail"]


async def test_any_printable_id_comes_back_as_it_was(service: ControlPlane) -> None:
    names = ["a/b c", "ä!20", "100%", "x?y#z", "🚀"]

    answer = await service.push(*({"id": name, "cmd": "true"} for name in names))

    assert [result["id"] for result in answer.json()["results"]] == names
    assert json.loads(answer.content.decode("ascii")) == answer.json()


async def test_pushed_job_keeps_the_trace_it_is_part_of(service: ControlPlane) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"

    answer = await service.push({"id": "mine", "cmd": "true", "traceparent": trace})
    bad = await service.push({"cmd": "true"}, {"cmd": "true", "traceparent": f"{trace}\n"})

    assert answer.status_code == 200
    assert (await service.get("status/demo/jobs/mine")).json()["traceparent"] == trace
    assert (bad.status_code, bad.json()["index"]) == (400, 1)
