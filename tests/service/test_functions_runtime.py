"""Every function, indexed and invoked by the library that runs them in Azure, in a process of its own.

On the Python of these tests, and on the one of the deployment, for which `make test` makes `.venv-3.13`.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobq.adapters.local import LocalStack
from jobq.model.files import digest_of, name_in
from jobq.model.names import escape, id_in_batch
from tests.azurite import Azurite
from tests.identity_endpoint import identity_endpoint
from tests.resource_manager import SCALE_SET, resource_manager
from tests.service.functions_host import ROOT, FunctionsHost, python_with_runtime, running_host

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
DEPLOYED = "3.13"
VERSIONS = sorted({OURS, DEPLOYED})

PUSH = {"batch": "b1", "jobs": [{"cmd": "true", "tags": ["a b/c"]}, {"id": "x/y z", "cmd": "false"}]}


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter with the runtime library. Missing: a skip at home, an error in CI."""
    found = python_with_runtime(request.param)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"azure-functions-runtime 1.3.0 is not installed for Python {request.param}")
    if found is None:
        pytest.skip(f"no Python {request.param} with azure-functions-runtime 1.3.0: see the top of this file")
    return found


@pytest.fixture
def queue(tmp_path: Path) -> str:
    return f"local:{tmp_path}/q/demo"


@pytest.fixture
def host(python: str, queue: str) -> Iterator[FunctionsHost]:
    with running_host(python, {"JOBQ": queue}) as running:
        yield running


def test_functions_are_declared_with_their_routes_methods_and_keys(host: FunctionsHost) -> None:
    declared = {
        name: (trigger["type"], trigger.get("route"), trigger.get("methods"), trigger.get("authLevel"))
        for name, (trigger, *_) in host.functions.items()
    }

    assert declared == {
        "enqueue": ("httpTrigger", "api/enqueue/{*rest}", ["POST", "PUT"], "FUNCTION"),
        "status": ("httpTrigger", "api/status/{*rest}", ["GET"], "FUNCTION"),
        "manage": ("httpTrigger", "api/manage/{*rest}", ["POST", "PATCH", "DELETE"], "FUNCTION"),
        "checkout": ("httpTrigger", "api/checkout/{*rest}", ["GET", "POST"], "FUNCTION"),
        "health": ("httpTrigger", "api/health", ["GET"], "ANONYMOUS"),
        "dashboard": ("httpTrigger", "dashboard/{*rest}", ["GET", "HEAD"], "ANONYMOUS"),
        "tick": ("timerTrigger", None, None, None),
        "scale": ("timerTrigger", None, None, None),
    }


def test_timers_run_each_minute_and_not_at_start(host: FunctionsHost) -> None:
    triggers = [*host.functions["tick"], *host.functions["scale"]]

    assert [trigger["schedule"] for trigger in triggers] == ["0 * * * * *", "30 * * * * *"]
    assert not any(trigger.get("runOnStartup") for trigger in triggers)


def test_timer_scales_nothing_where_no_scale_set_is_named(host: FunctionsHost) -> None:
    assert host.timer("scale").is_ok


def test_timer_gives_the_scale_set_that_is_named_machines(python: str, queue: str) -> None:
    with resource_manager() as manager, identity_endpoint() as (variables, asked):
        scale = {"JOBQ_SCALE_SET": SCALE_SET, "JOBQ_SCALE_REALMS": "demo", "JOBQ_SCALE_CLIENT_ID": "id-3"}
        with running_host(python, {"JOBQ": queue, "JOBQ_RESOURCE_MANAGER": manager.url, **scale, **variables}) as host:
            host.http("POST", "/api/enqueue/demo/jobs", PUSH)
            fired = [host.timer("scale") for _ in range(2)]

    assert [reply.error for reply in fired if not reply.is_ok] == []
    assert (manager.capacity, manager.asked.count(("PATCH", ""))) == (2, 1)
    assert {query["clientid"][0] for query in asked} == {"id-3"}


def test_health_needs_no_setting_but_the_queue(host: FunctionsHost) -> None:
    answer = host.http("GET", "/api/health")

    assert (answer.status, answer.json()["status"]) == (200, "ok")


def test_dashboard_is_loaded_and_then_only_asked_for(host: FunctionsHost) -> None:
    moved = host.http("GET", "/dashboard")
    page = host.http("GET", "/dashboard/")
    again = host.http("GET", "/dashboard/", if_none_match=page.headers["etag"])
    head = host.http("HEAD", "/dashboard/")

    assert (moved.status, moved.headers["location"]) == (307, "/dashboard/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.body == (ROOT / "jobq_service/static/index.html").read_bytes()
    assert (again.status, again.body, head.status, head.body) == (304, b"", 200, b"")


def test_job_is_pushed_counted_cancelled_and_removed(host: FunctionsHost) -> None:
    first, second = id_in_batch("b1", 1), escape("x/y z")

    pushed = host.http("POST", "/api/enqueue/demo/jobs", PUSH)
    counts = host.http("GET", "/api/status/demo/total")
    tag = host.http("GET", f"/api/status/demo/tags/{escape('a b/c')}")
    page = host.http("GET", "/api/status/demo/jobs?tag=a%20b%2Fc&limit=1")
    job = host.http("GET", f"/api/status/demo/jobs/{second}")
    log = host.http("GET", f"/api/status/demo/jobs/{second}/log")
    cancelled = host.http("POST", f"/api/manage/demo/jobs/{second}/cancel", {"message": "enough"})
    retried = host.http("POST", "/api/manage/demo/retry", {"ids": ["x/y z"]})
    removed = host.http("DELETE", f"/api/manage/demo/jobs/{first}")
    swept = host.http("POST", "/api/manage/demo/sweep")
    realms = host.http("GET", "/api/status")

    assert [result["id"] for result in pushed.json()["results"]] == [first, "x/y z"]
    assert (counts.json()["queued"], tag.json()["queued"]) == (2, 1)
    assert [found["id"] for found in page.json()["jobs"]] == [first]
    assert (job.json()["command"], log.status, log.body) == ("false", 200, b"")
    assert log.headers["content-type"] == "text/plain; charset=utf-8"
    assert (cancelled.json()["state"], cancelled.json()["message"]) == ("cancelled", "enough")
    assert retried.json() == {"matched": 1, "changed": 1, "refused": [], "next": None}
    assert (removed.status, swept.status, realms.json()) == (200, 200, {"realms": ["demo"]})


def test_answer_that_the_caller_has_is_not_sent_again(host: FunctionsHost) -> None:
    first = host.http("GET", "/api/status/demo/total")
    again = host.http("GET", "/api/status/demo/total", if_none_match=f"W/{first.headers['etag']}")

    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert {again.headers[name] == first.headers[name] for name in ("etag", "cache-control")} == {True}


def test_caller_that_is_too_fast_is_told_when_to_go_on(python: str, queue: str) -> None:
    with running_host(python, {"JOBQ": queue, "JOBQ_RATE_LIMIT": "1"}) as host:
        fast = host.request("GET", "/api/status", x_forwarded_for="10.9.9.9, 10.0.0.1:5678")
        answers = host.many([fast] * 30)
        other = host.http("GET", "/api/status", x_forwarded_for="10.0.0.1, 10.0.0.2:5678")
        with_key = host.http("GET", "/api/status", x_forwarded_for="10.0.0.1:5678", x_functions_key="a-key")

    assert {answer.status for answer in answers} == {200, 429}
    assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
    assert (other.status, with_key.status) == (200, 200)


def test_gzip_and_ndjson_bodies_arrive(host: FunctionsHost) -> None:
    body = gzip.compress(b'{"cmd":"a"}\n{"cmd":"b"}\n')

    answer = host.http(
        "POST", "/api/enqueue/demo/jobs", body, content_type="application/x-ndjson", content_encoding="gzip"
    )

    assert len(answer.json()["results"]) == 2


def test_file_arrives_byte_by_byte(host: FunctionsHost) -> None:
    data = bytes(range(256)) * 16_384  # 4 MiB, the largest piece that is sent
    name = name_in("202611", digest_of(data))

    stored = host.http("PUT", f"/api/enqueue/demo/files/{name}", data, content_type="application/octet-stream")
    asked = host.http("POST", "/api/enqueue/demo/files", {"names": [name]})

    assert (stored.status, stored.json()) == (200, {"name": name, "size": len(data)})
    assert asked.json() == {"missing": []}


def test_body_that_the_host_lost_is_explained(host: FunctionsHost) -> None:
    answer = host.http("POST", "/api/enqueue/demo/jobs", transfer_encoding="chunked")

    assert answer.status == 400
    assert "Content-Length" in answer.json()["detail"]


def test_errors_arrive_as_problems(host: FunctionsHost) -> None:
    bad = host.http("POST", "/api/enqueue/demo/jobs", {"jobs": [{"cmd": "true"}, {}]})
    missing = host.http("GET", "/api/status/demo/jobs/none")
    unknown = host.http("GET", "/api/status/demo/nonsense")

    assert (bad.status, bad.json()["index"]) == (400, 1)
    assert (missing.status, unknown.status) == (404, 404)
    assert {answer.headers["content-type"] for answer in (bad, missing, unknown)} == {"application/problem+json"}


def test_jobs_are_checked_out_held_given_back_and_acknowledged(host: FunctionsHost) -> None:
    host.http("POST", "/api/enqueue/demo/jobs", PUSH)

    (first,) = host.http("POST", "/api/checkout/demo/jobs", {"lease": 60}).json()["jobs"]
    (second,) = host.http("POST", "/api/checkout", {"realms": ["demo"]}).json()["jobs"]
    nothing = host.http("POST", "/api/checkout")
    mine = f"/api/checkout/demo/jobs/{escape(first['id'])}"
    held = host.http("POST", f"{mine}/extend", {"token": first["token"], "lease": "2h"})
    acked = host.http("POST", f"{mine}/ack", {"token": first["token"], "result": 7})
    url = f"/api/checkout/demo/jobs/{escape(second['id'])}"
    given_back = host.http("POST", f"{url}/nack", {"token": second["token"], "delay": "1h"})
    late = host.http("POST", f"{mine}/extend", {"token": "not-mine"})

    assert {first["id"], second["id"]} == {"b1-000001", "x/y z"}
    assert nothing.json() == {"jobs": []}
    assert (held.status, held.json()["lease"]) == (200, 7200.0)
    assert (acked.json()["state"], acked.json()["result"]) == ("succeeded", 7)
    assert given_back.json()["state"] == "queued"
    assert (late.status, late.json()["type"]) == (409, "urn:jobq:lease-lost")


def test_files_of_a_job_leave_byte_by_byte(host: FunctionsHost) -> None:
    data = bytes(range(256)) * 16_384
    name = name_in("202611", digest_of(data))
    host.http("PUT", f"/api/enqueue/demo/files/{name}", data, content_type="application/octet-stream")

    got = host.http("GET", f"/api/checkout/demo/files/{name}")
    missing = host.http("GET", f"/api/checkout/other/files/{name}")

    assert (got.status, got.headers["content-type"], got.body) == (200, "application/octet-stream", data)
    assert missing.status == 404


def test_job_is_added_once_and_moved(host: FunctionsHost) -> None:
    url = f"/api/enqueue/demo/jobs/{escape('do the dishes')}"

    added = host.http("PUT", url, {"data": ["dishes", 7], "tags": ["house work"]})
    again = host.http("PUT", url, {"data": ["dishes", 7], "tags": ["kitchen"]})
    other = host.http("PUT", url, {"data": "grass"})
    moved = host.http("POST", "/api/manage/demo/move", {"tag": "kitchen", "from": 0, "to": 3})

    assert [answer.json().get("status") for answer in (added, again, other)] == ["queued", "exists", 409]
    assert moved.json() == {"matched": 1, "changed": 1, "refused": [], "next": None}


def test_jobs_of_several_realms_are_pushed_and_removed(host: FunctionsHost) -> None:
    jobs = [{"realm": "aaa", "id": "x", "cmd": "true"}, {"realm": "bbb", "id": "x", "cmd": "true"}]

    pushed = host.http("POST", "/api/enqueue", {"jobs": jobs})
    removed = host.http("POST", "/api/manage/remove", {"jobs": [{"realm": "bbb", "id": name} for name in ("x", "y")]})

    assert [result["realm"] for result in pushed.json()["results"]] == ["aaa", "bbb"]
    assert (removed.status, [one["status"] for one in removed.json()["results"]]) == (207, ["removed", "refused"])


def test_realm_is_set_shown_and_deleted(host: FunctionsHost) -> None:
    changed = host.http("PATCH", "/api/manage/demo", {"lease": "5m", "lane_leases": {"3": 90}})
    shown = host.http("GET", "/api/status/demo/settings")
    deleted = host.http("DELETE", "/api/manage/demo")
    fired = host.timer("tick")
    closed = host.http("POST", "/api/enqueue/demo/jobs", PUSH)

    assert changed.json() == shown.json()
    assert (shown.json()["lease"], shown.json()["lane_leases"]) == (300.0, {"3": 90.0})
    assert (deleted.status, deleted.json()) == (202, {"realm": "demo", "deleting": True})
    assert (fired.is_ok, closed.status) == (True, 409)


@pytest.mark.parametrize("path", ["/api/Status/demo", "/api/status/"])
def test_what_the_host_matches_more_loosely_is_not_found(host: FunctionsHost, path: str) -> None:
    request = {**host.request("GET", path), "function": "status"}

    (answer,) = host.many([request])

    assert answer.status == 404


async def test_timer_sweeps_every_realm(host: FunctionsHost, tmp_path: Path) -> None:
    host.http("POST", "/api/enqueue/first/jobs", PUSH)
    host.http("POST", "/api/enqueue/second/jobs", PUSH)

    fired = host.timer("tick")

    stack = LocalStack(tmp_path / "q")
    leases = [await stack.table.get(f"{realm}~sweep", "lease") for realm in ("first", "second")]
    await stack.close()
    assert fired.is_ok
    assert [lease.values["holder"] for lease in leases if lease] == [fired.id, fired.id]


@pytest.mark.parametrize("what", ["jobq_service.realms:Realms.api", "azure.functions:AsgiMiddleware.handle_async"])
def test_unexpected_error_is_a_problem_with_the_invocations_id(host: FunctionsHost, what: str) -> None:
    host.break_(what)

    answer = host.http("GET", "/api/status/demo")

    assert answer.is_ok  # a failed invocation would reach the caller as an empty 500
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request"] == answer.id
    assert b"sesame" not in answer.body


def test_function_app_without_a_queue_says_what_to_set(python: str) -> None:
    with running_host(python, {}) as host:
        answer = host.http("GET", "/api/status/demo")
        fired = host.timer("tick")

    assert answer.status == 500
    assert "JOBQ" in answer.json()["detail"]
    assert not fired.is_ok


def test_first_requests_at_once_share_one_stack(host: FunctionsHost) -> None:
    jobs = [{"batch": f"b{n}", "jobs": [{"cmd": "true", "tags": ["t"]}]} for n in range(20)]

    answers = host.many([host.request("POST", "/api/enqueue/demo/jobs", job) for job in jobs])

    assert {answer.status for answer in answers} == {200}
    assert host.http("GET", "/api/status/demo/tags/t").json()["queued"] == 20


async def test_all_invocations_share_the_connections_of_the_first(python: str, azurite_process: Azurite) -> None:
    async with counting_proxy(azurite_process.table_port) as (port, connections):
        account = Azurite.at(azurite_process.blob_port, azurite_process.queue_port, port)
        settings = {"JOBQ_STORAGE": "devstoreaccount1", "JOBQ_CONNECTION_STRING": account}
        with running_host(python, settings) as host:
            first = await asyncio.to_thread(host.http, "GET", "/api/status/shared/total")
            opened = len(connections)
            rest = [await asyncio.to_thread(host.http, "GET", "/api/status/shared/total") for _ in range(20)]

    assert {answer.status for answer in (first, *rest)} == {200}
    assert len(connections) == opened


@asynccontextmanager
async def counting_proxy(target: int) -> AsyncIterator[tuple[int, list[asyncio.Task[None]]]]:
    """A loopback port that leads to another one, and a list that grows by each connection to it."""
    connections: list[asyncio.Task[None]] = []

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()
        await sink.wait_closed()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(
        lambda *ends: connections.append(asyncio.create_task(lead(*ends))), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()[1], connections
        await asyncio.gather(*connections)
