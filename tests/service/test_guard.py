"""Who may ask a control plane that no Functions host guards."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest

from jobq.adapters.local import MemoryStack
from jobq.errors import BadInput
from jobq_service.app import create_app
from jobq_service.guard import Guard, Guarded, guard_for, parse_keys
from jobq_service.realms import Realms

KEYS = ",".join(f"{name}={name}-key-0123456789" for name in ("enqueue", "status", "manage", "checkout"))
PUSH = {"jobs": [{"cmd": "true"}]}
PUSH_URL = "/api/enqueue/demo/jobs"
JSON = {"content-type": "application/json"}


async def asking(guard: Guard, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    realms = Realms(MemoryStack)
    transport = httpx.ASGITransport(Guarded(create_app(realms), guard))
    async with httpx.AsyncClient(transport=transport, base_url=base_url) as http:
        yield http
    await realms.close()


@pytest.fixture
async def local() -> AsyncIterator[httpx.AsyncClient]:
    """On 127.0.0.1 port 7071, without keys."""
    async for http in asking(guard_for("127.0.0.1", "127.0.0.1", 7071, ""), "http://127.0.0.1:7071"):
        yield http


@pytest.fixture
async def public() -> AsyncIterator[httpx.AsyncClient]:
    """On all addresses, with a key for each privilege."""
    async for http in asking(guard_for("0.0.0.0", "0.0.0.0", 7071, KEYS), "http://queue.example:7071"):
        yield http


@pytest.mark.parametrize("host", ["127.0.0.1:7071", "localhost:7071", "LOCALHOST:7071", "[::1]:7071"])
async def test_loopback_names_are_answered(local: httpx.AsyncClient, host: str) -> None:
    assert (await local.post(PUSH_URL, json=PUSH, headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:7071", "127.0.0.1", "localhost:80", "127.0.0.1:7071.evil.example", ""])
@pytest.mark.parametrize("path", ["/api/status", "/api/health", "/api/enqueue/demo/jobs"])
async def test_a_name_that_resolves_to_loopback_is_refused(local: httpx.AsyncClient, host: str, path: str) -> None:
    answer = await local.get(path, headers={"host": host})

    assert answer.status_code == 403
    assert "Host" in answer.json()["detail"]


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "https://127.0.0.1:7071", "http://127.0.0.1:8080", "http://localhost:7071", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_page_of_another_origin_is_refused(local: httpx.AsyncClient, origin: str, method: str) -> None:
    answer = await local.request(method, "/api/status", headers={"origin": origin})

    assert answer.status_code == 403


async def test_own_page_is_answered(local: httpx.AsyncClient) -> None:
    headers = {"origin": "http://127.0.0.1:7071", "sec-fetch-site": "same-origin"}

    assert (await local.post(PUSH_URL, json=PUSH, headers=headers)).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/manage/demo/sweep"),
        ("DELETE", "/api/manage/demo/lanes/0/jobs"),
        ("PATCH", "/api/manage/demo"),
        ("DELETE", "/api/manage/demo"),
        ("POST", "/api/checkout"),
        ("PUT", "/api/enqueue/demo/jobs/a"),
    ],
)
async def test_page_of_another_site_changes_nothing(
    local: httpx.AsyncClient, method: str, path: str, site: str
) -> None:
    answer = await local.request(method, path, headers={"sec-fetch-site": site})

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_a_form_cannot_push(local: httpx.AsyncClient, kind: str) -> None:
    answer = await local.post(PUSH_URL, content=b'{"jobs":[{"cmd":"true"}]}', headers={"content-type": kind})

    assert answer.status_code == 415


@pytest.mark.parametrize(("kind", "status"), [("application/octet-stream", 200), ("text/plain", 415), ("", 415)])
async def test_a_file_is_sent_as_no_form_can(local: httpx.AsyncClient, kind: str, status: int) -> None:
    url = f"/api/enqueue/demo/files/202611-{hashlib.sha256(b'x').hexdigest()}"

    assert (await local.put(url, content=b"x", headers={"content-type": kind})).status_code == status


@pytest.mark.parametrize("path", ["manage/demo/sweep", "checkout", "checkout/demo/jobs"])
async def test_an_empty_form_cannot_sweep_nor_take(local: httpx.AsyncClient, path: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert (await local.post(f"/api/{path}", headers=headers)).status_code == 415


async def test_body_of_no_announced_length_needs_its_type(local: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"jobs":[{"cmd":"true"}]}'

    assert (await local.post(PUSH_URL, content=pieces())).status_code == 415


async def test_preflight_is_not_answered(local: httpx.AsyncClient) -> None:
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}

    answer = await local.options(PUSH_URL, headers=headers)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_programs_of_this_machine_ask_without_ado(local: httpx.AsyncClient) -> None:
    assert (await local.get("/api/status")).status_code == 200
    assert (await local.post("/api/manage/demo/sweep")).status_code == 200
    assert (await local.delete("/api/manage/demo/lanes/0/jobs")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [
        ("POST", "/api/enqueue/demo/jobs", "enqueue", 400),
        ("GET", "/api/status", "status", 200),
        ("GET", "/api/status/demo/total", "status", 200),
        ("GET", "/api/status/openapi.json", "status", 200),
        ("POST", "/api/manage/demo/sweep", "manage", 200),
        ("PATCH", "/api/manage/demo", "manage", 400),
        ("DELETE", "/api/manage/demo", "manage", 404),
        ("POST", "/api/manage/remove", "manage", 400),
        ("POST", "/api/enqueue", "enqueue", 400),
        ("PUT", "/api/enqueue/demo/jobs/a", "enqueue", 400),
        ("POST", "/api/checkout", "checkout", 200),
        ("POST", "/api/checkout/demo/jobs", "checkout", 200),
        ("POST", "/api/checkout/demo/jobs/a/ack", "checkout", 400),
        ("GET", "/api/checkout/demo/files/x", "checkout", 400),
        ("GET", "/api/nope", "status", 404),
        ("GET", "/api/enqueue", "enqueue", 405),
    ],
)
async def test_each_privilege_has_its_own_key(
    public: httpx.AsyncClient, method: str, path: str, name: str, status: int
) -> None:
    wrong = "manage" if name != "manage" else "status"
    keys = {None: 401, "nonsense": 401, f"{wrong}-key-0123456789": 401, f"{name}-key-0123456789": status}

    answers = {
        key: (await public.request(method, path, headers={"x-functions-key": key} if key else {})).status_code
        for key in keys
    }

    assert answers == keys


async def test_health_asks_no_key(public: httpx.AsyncClient) -> None:
    assert (await public.get("/api/health")).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/dashboard", 307), ("/dashboard/", 200), ("/dashboard/nope", 404)])
async def test_files_of_the_dashboard_ask_no_key(public: httpx.AsyncClient, path: str, status: int) -> None:
    assert (await public.get(path)).status_code == status


@pytest.mark.parametrize("way_out", ["%2e%2e/api/status", "..%2fapi/status", "/api/status", "%2fapi/status"])
async def test_nothing_else_is_behind_the_dashboard(public: httpx.AsyncClient, way_out: str) -> None:
    assert (await public.get(f"/dashboard/{way_out}")).status_code == 404


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/nope"])
async def test_dashboard_is_for_loopback_names_too(local: httpx.AsyncClient, path: str) -> None:
    assert (await local.get(path, headers={"host": "evil.example:7071"})).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/api/health/",
        "/api/health/../status",
        "/API/status",
        "//api/status",
        "/api//status",
        "/",
        "/dashboards",
        "/Dashboard/",
        "//dashboard/",
        "/api/dashboard",
    ],
)
async def test_nothing_is_open_by_oversight(public: httpx.AsyncClient, path: str) -> None:
    assert (await public.get(path)).status_code == 401


async def test_key_in_the_query_opens_nothing(public: httpx.AsyncClient) -> None:
    assert (await public.get("/api/status?code=status-key-0123456789")).status_code == 401


def test_open_address_without_keys_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="JOBQ_SERVE_KEYS"):
        guard_for("0.0.0.0", "0.0.0.0", 7071, "")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1"])
def test_loopback_needs_no_key(address: str) -> None:
    assert guard_for(address, address, 7071, "").keys is None


def test_keys_are_asked_for_on_loopback_too_when_they_are_set() -> None:
    guard = guard_for("localhost", "127.0.0.1", 7071, "one-key-for-all-of-them")

    assert guard.keys == dict.fromkeys(("enqueue", "status", "manage", "checkout"), "one-key-for-all-of-them")
    assert "localhost:7071" in guard.hosts


def test_privilege_without_a_key_is_closed() -> None:
    assert parse_keys("status=0123456789abcdef==") == {"status": "0123456789abcdef=="}


@pytest.mark.parametrize(
    "keys",
    [
        "short",
        "status=short",
        "status=0123456789abcdef,manage=",
        "status=0123456789abcdef,x=0123456789abcdef",
        "ä" * 20,
    ],
)
def test_bad_keys_are_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_keys(keys)

    assert "0123456789abcdef" not in str(refused.value)
