"""What is polled has an etag, and costs no bytes while nothing changes."""

from __future__ import annotations

import pytest

from jobq.core.logs import log_key
from jobq.model.job import JobState
from jobq_service.conditional import is_known
from tests.service.control_plane import ControlPlane


async def test_every_json_answer_about_status_is_documented_with_an_etag(service: ControlPlane) -> None:
    document = service.app.openapi()

    without = {
        path
        for path, operations in document["paths"].items()
        if path.startswith("/api/status") and "304" not in operations["get"]["responses"]
    }

    assert without == {"/api/status/metrics", "/api/status/{realm}/jobs/{job}/log"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/demo",
        "/demo/total",
        "/demo/jobs",
        "/demo/jobs/b1-000001",
        "/demo/batches/b1",
        "/demo/settings",
        "/demo/where",
    ],
)
async def test_answer_that_the_caller_has_is_not_sent_again(service: ControlPlane, path: str) -> None:
    await service.push({"cmd": "true"})
    first = await service.get(f"status{path}")

    again = await service.ask("GET", f"status{path}", headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers.keys().isdisjoint({"content-type", "content-length"})


async def test_document_of_the_routes_has_an_etag(service: ControlPlane) -> None:
    first = await service.http.get("/api/status/openapi.json")

    again = await service.http.get("/api/status/openapi.json", headers={"if-none-match": first.headers["etag"]})

    assert again.status_code == 304


async def test_answer_that_has_changed_is_sent(service: ControlPlane) -> None:
    await service.push({"cmd": "true"})
    before = await service.get("status/demo/total")
    await service.force("b1-000001", JobState.CANCELLED)

    after = await service.ask("GET", "status/demo/total", headers={"if-none-match": before.headers["etag"]})

    assert (after.status_code, after.json()["cancelled"]) == (200, 1)
    assert after.headers["etag"] != before.headers["etag"]


@pytest.mark.parametrize("known", ["*", ' "x" , W/{etag}', '"x,y", {etag}', 'W/"x",{etag}'])
async def test_etag_is_found_in_a_list_and_as_a_weak_one(service: ControlPlane, known: str) -> None:
    etag = (await service.get("status/demo/total")).headers["etag"]

    answer = await service.ask("GET", "status/demo/total", headers={"if-none-match": known.format(etag=etag)})

    assert answer.status_code == 304


@pytest.mark.parametrize("known", ["", '"other"', "mine", '"*"', 'W/"', '"', "\xff"])
def test_what_is_not_the_etag_is_not_taken_for_it(known: str) -> None:
    assert not is_known('"mine"', [known])


def test_etag_may_be_in_any_line() -> None:
    assert is_known('"mine"', ['"other"', 'W/"mine"'])


async def test_answer_may_be_kept_by_its_caller_alone(service: ControlPlane) -> None:
    first = await service.get("status/demo")
    again = await service.ask("GET", "status/demo", headers={"if-none-match": first.headers["etag"]})

    assert {first.headers["cache-control"], again.headers["cache-control"]} == {"private, no-cache"}


async def test_errors_logs_metrics_and_changes_have_no_etag(service: ControlPlane) -> None:
    pushed = await service.push({"cmd": "true"})
    await service.force("b1-000001", JobState.RUNNING, attempt=1)
    await service.realms.realm("demo").stack.blobs.append(log_key("demo", "b1-000001", 1), b"one\n")

    paths = ["status/demo/jobs/none", "status/demo/jobs/b1-000001/log", "status/metrics", "health"]
    answers = [pushed] + [await service.ask("GET", path, headers={"if-none-match": "*"}) for path in paths]

    assert [answer.status_code for answer in answers] == [200, 404, 200, 200, 200]
    assert all("etag" not in answer.headers for answer in answers)
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
