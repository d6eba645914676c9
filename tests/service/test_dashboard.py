"""The page's files: which there are, as what they are sent, and what a browser is told to keep them to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import httpx
import pytest

from jobq.adapters.local import MemoryStack
from jobq_service.app import create_app
from jobq_service.dashboard import MEDIA_TYPES, assets
from jobq_service.realms import Realms

STATIC = Path(__file__).resolve().parents[2] / "jobq_service/static"
PATHS = sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("*") if path.is_file())


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    realms = Realms(MemoryStack)
    transport = httpx.ASGITransport(create_app(realms))
    async with httpx.AsyncClient(transport=transport, base_url="http://queue.example") as client:
        yield client
    await realms.close()


def test_every_file_is_served() -> None:
    assert sorted(assets()) == PATHS


@pytest.mark.parametrize("path", PATHS)
async def test_file_is_sent_as_what_it_is(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/dashboard/{path}")

    assert answer.content == (STATIC / path).read_bytes()
    assert answer.headers["content-type"] == MEDIA_TYPES[PurePosixPath(path).suffix]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_page_may_load_and_ask_nothing_but_what_comes_from_here(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/dashboard/")).headers

    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize("condition", ["{etag}", "W/{etag}", '"other", {etag}'])
async def test_what_has_not_changed_is_not_sent_again(http: httpx.AsyncClient, condition: str) -> None:
    first = await http.get("/dashboard/")

    again = await http.get("/dashboard/", headers={"if-none-match": condition.format(etag=first.headers["etag"])})
    other = await http.get("/dashboard/", headers={"if-none-match": '"other"'})

    assert first.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (other.status_code, other.content) == (200, first.content)


async def test_head_has_the_length_and_no_body(http: httpx.AsyncClient) -> None:
    page, head = await http.get("/dashboard/"), await http.head("/dashboard/")

    assert head.headers == page.headers
    assert head.content == b""


@pytest.mark.parametrize("host", ["queue.example", "evil.example"])
async def test_address_without_its_slash_leads_to_the_page_of_the_same_host(http: httpx.AsyncClient, host: str) -> None:
    answer = await http.get("/dashboard?next=//evil.example", headers={"host": host})

    assert (answer.status_code, answer.headers["location"]) == (307, "/dashboard/")


@pytest.mark.parametrize(
    "path",
    ["nope", "%2e%2e/dashboard.py", "..%2fdashboard.py", "%2fetc/passwd", "INDEX.html", "index.html/", "vendor", "%00"],
)
async def test_what_is_not_in_the_table_is_not_there(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/dashboard/{path}")

    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/index.html"])
async def test_page_takes_nothing(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.post(path, json={})

    assert (answer.status_code, {*answer.headers["allow"].split(", ")}) == (405, {"GET", "HEAD"})
