"""Errors: each is a problem document with the right status, and none tells a secret."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from jobq import __version__
from jobq.adapters.local import MemoryStack
from jobq.core.api import RealmApi
from jobq.core.ports import Stack
from jobq.errors import (
    BadInput,
    Conflict,
    IllegalTransition,
    JobqError,
    LeaseLost,
    NotAllowed,
    NotFound,
    ReplyLost,
    TooLarge,
    Unreachable,
)
from jobq_service.app import create_app
from jobq_service.realms import MAX_OPEN, Realms
from tests.service.control_plane import ControlPlane


async def test_health_answers_without_touching_storage() -> None:
    realms = Realms(lambda: pytest.fail("the stack was opened"))
    plane = ControlPlane(create_app(realms), realms)

    answer = await plane.get("health")

    assert answer.json() == {"status": "ok", "version": __version__}
    await plane.http.aclose()


@pytest.mark.parametrize("path", ["nope", "", "status/", "status/demo/", "status/demo/x", "Status/demo", "manage"])
async def test_unknown_path_is_not_found(service: ControlPlane, path: str) -> None:
    answer = await service.get(path)

    assert answer.status_code == 404
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("status/demo", "GET"), ("manage/demo", "DELETE, PATCH"), ("checkout/demo/jobs", "POST"), ("enqueue", "POST")],
)
async def test_wrong_method_is_told_the_right_ones(service: ControlPlane, path: str, allowed: str) -> None:
    answer = await service.ask("PUT", path)

    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("why"), 400),
        (NotAllowed("why"), 403),
        (NotFound("why"), 404),
        (IllegalTransition("why"), 409),
        (Conflict("why", 7), 409),
        (LeaseLost("why"), 409),
        (TooLarge("why"), 413),
        (JobqError("why"), 500),
        (Unreachable("why"), 503),
        (ReplyLost("why"), 503),
    ],
)
async def test_our_errors_keep_their_words(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch, error: JobqError, status: int
) -> None:
    monkeypatch.setattr(RealmApi, "batch_status", _raising(error))

    answer = await service.http.get("/api/status/demo/batches/b")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["detail"]) == (status, "why")
    assert re.fullmatch(r"urn:jobq:[a-z]+(-[a-z]+)*", problem["type"])
    assert "index" not in problem


async def test_unreachable_backend_says_when_to_come_back() -> None:
    realms = Realms(_unreachable)
    plane = ControlPlane(create_app(realms), realms)

    answer = await plane.get("status/demo")

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    await plane.http.aclose()


async def test_backend_that_comes_back_is_used() -> None:
    attempts = iter([_unreachable, MemoryStack])
    realms = Realms(lambda: next(attempts)())
    plane = ControlPlane(create_app(realms), realms)

    statuses = [(await plane.get("status/demo")).status_code for _ in range(3)]

    assert statuses == [503, 200, 200]
    await plane.http.aclose()
    await realms.close()


async def test_control_plane_without_a_queue_blames_itself_not_the_caller() -> None:
    realms = Realms(_not_set_up)
    plane = ControlPlane(create_app(realms), realms)

    answer = await plane.get("status/demo")

    assert answer.status_code == 500
    assert "not set up: set JOBQ" in answer.json()["detail"]
    await plane.http.aclose()


async def test_unexpected_error_tells_its_id_and_nothing_else(
    service: ControlPlane, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(RealmApi, "status", _raising(RuntimeError("sesame")))

    answer = await service.get("status/demo")

    assert answer.status_code == 500
    assert "sesame" not in answer.text
    assert answer.json()["request"] in caplog.text
    assert "sesame" in caplog.text


async def test_documented_routes_are_those_there_are(service: ControlPlane) -> None:
    document = (await service.http.get("/api/status/openapi.json")).json()

    routes = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert routes == {
        ("GET", "/api/health"),
        ("POST", "/api/enqueue"),
        ("POST", "/api/enqueue/{realm}/jobs"),
        ("PUT", "/api/enqueue/{realm}/jobs/{job}"),
        ("POST", "/api/enqueue/{realm}/files"),
        ("PUT", "/api/enqueue/{realm}/files/{name}"),
        ("GET", "/api/status"),
        ("GET", "/api/status/{realm}"),
        ("GET", "/api/status/{realm}/total"),
        ("GET", "/api/status/{realm}/summary"),
        ("GET", "/api/status/{realm}/history"),
        ("GET", "/api/status/{realm}/settings"),
        ("GET", "/api/status/{realm}/tags/{tag}"),
        ("GET", "/api/status/{realm}/batches/{batch}"),
        ("GET", "/api/status/{realm}/jobs"),
        ("GET", "/api/status/{realm}/jobs/count"),
        ("GET", "/api/status/{realm}/jobs/{job}"),
        ("GET", "/api/status/{realm}/jobs/{job}/files"),
        ("GET", "/api/status/{realm}/jobs/{job}/log"),
        ("GET", "/api/status/{realm}/jobs/{job}/log/start"),
        ("GET", "/api/status/{realm}/workers"),
        ("GET", "/api/status/{realm}/where"),
        ("GET", "/api/status/{realm}/scale"),
        ("GET", "/api/status/metrics"),
        ("POST", "/api/manage/{realm}/jobs/{job}/cancel"),
        ("POST", "/api/manage/{realm}/jobs/{job}/retry"),
        ("POST", "/api/manage/{realm}/jobs/{job}/preempt"),
        ("POST", "/api/manage/{realm}/workers/{worker}/preempt"),
        ("POST", "/api/manage/{realm}/workers/{worker}/drain"),
        ("DELETE", "/api/manage/{realm}/jobs/{job}"),
        ("POST", "/api/manage/{realm}/cancel"),
        ("POST", "/api/manage/{realm}/retry"),
        ("POST", "/api/manage/{realm}/preempt"),
        ("POST", "/api/manage/{realm}/remove"),
        ("POST", "/api/manage/remove"),
        ("POST", "/api/manage/{realm}/move"),
        ("DELETE", "/api/manage/{realm}/lanes/{lane}/jobs"),
        ("POST", "/api/manage/{realm}/pause"),
        ("POST", "/api/manage/{realm}/resume"),
        ("POST", "/api/manage/{realm}/sweep"),
        ("PATCH", "/api/manage/{realm}"),
        ("DELETE", "/api/manage/{realm}"),
        ("POST", "/api/checkout"),
        ("POST", "/api/checkout/{realm}/jobs"),
        ("POST", "/api/checkout/{realm}/jobs/{job}/ack"),
        ("POST", "/api/checkout/{realm}/jobs/{job}/nack"),
        ("POST", "/api/checkout/{realm}/jobs/{job}/extend"),
        ("GET", "/api/checkout/{realm}/files/{name}"),
    }


async def test_document_refers_to_nothing_that_is_missing(service: ControlPlane) -> None:
    answer = await service.http.get("/api/status/openapi.json")

    named = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert named <= answer.json()["components"]["schemas"].keys()
    assert "422" not in answer.text


async def test_every_path_parameter_is_documented(service: ControlPlane) -> None:
    document = service.app.openapi()

    for path, operations in document["paths"].items():
        for operation in operations.values():
            documented = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert documented == set(re.findall(r"{(\w+)}", path))


async def test_there_is_no_page_of_documentation(service: ControlPlane) -> None:
    answers = [await service.http.get(path) for path in ("/docs", "/redoc", "/openapi.json", "/")]

    assert {answer.status_code for answer in answers} == {404}


async def test_answers_are_not_kept_by_caches_nor_shown_in_pages_of_others(service: ControlPlane) -> None:
    answers = [await service.post("checkout/demo/jobs"), await service.get("status/demo/jobs/none")]

    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert {answer.headers["cross-origin-resource-policy"] for answer in answers} == {"same-origin"}
    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}


async def test_realms_without_end_do_not_fill_the_memory() -> None:
    realms = Realms(MemoryStack)

    first = realms.realm("realm-0")
    for number in range(MAX_OPEN + 1):
        realms.realm(f"realm-{number}")

    assert realms.realm(f"realm-{MAX_OPEN}") is realms.realm(f"realm-{MAX_OPEN}")
    assert realms.realm("realm-0") is not first
    await realms.close()


async def test_client_that_leaves_in_the_middle_is_no_error(
    service: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/enqueue/demo/jobs",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    messages: list[Any] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await service.app(scope, receive, send)

    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def _raising(error: Exception) -> Any:
    async def method(*_: object) -> None:
        raise error

    return method


def _unreachable() -> Stack:
    raise Unreachable("it does not answer")


def _not_set_up() -> Stack:
    raise BadInput("set JOBQ")
