"""Bodies: how large, in which encoding, of which type."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from jobq.errors import BadInput, TooLarge
from jobq_service.bodies import inflate
from tests.service.control_plane import ControlPlane

JSON = {"content-type": "application/json"}
GZIP = {**JSON, "content-encoding": "gzip"}
PUSH = json.dumps({"jobs": [{"cmd": "true"}]}).encode()
URL = "enqueue/demo/jobs"


@pytest.fixture
def small(service: ControlPlane) -> ControlPlane:
    """It takes bodies of 10,000 bytes."""
    service.app.state.max_body_bytes = 10_000
    return service


async def test_gzip_body_is_inflated(service: ControlPlane) -> None:
    answer = await service.post(URL, content=gzip.compress(PUSH), headers=GZIP)

    assert answer.status_code == 200


async def test_gzip_body_of_several_members_is_one_body(service: ControlPlane) -> None:
    answer = await service.post(URL, content=gzip.compress(PUSH[:9]) + gzip.compress(PUSH[9:]), headers=GZIP)

    assert answer.status_code == 200


async def test_body_over_the_limit_is_refused(small: ControlPlane) -> None:
    answer = await small.post(URL, content=b" " * 10_001, headers=JSON)

    assert answer.status_code == 413
    assert "10,000" in answer.json()["detail"]


async def test_announced_length_over_the_limit_is_refused_before_the_body_is_read(small: ControlPlane) -> None:
    answer = await small.post(URL, content=b"{}", headers={**JSON, "content-length": "10001"})

    assert answer.status_code == 413


async def test_chunked_body_over_the_limit_is_refused(small: ControlPlane) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 1000

    answer = await small.post(URL, content=pieces(), headers=JSON)

    assert answer.status_code == 413


async def test_chunked_body_under_the_limit_is_taken(small: ControlPlane) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield PUSH[:5]
        yield PUSH[5:]

    answer = await small.post(URL, content=pieces(), headers=JSON)

    assert answer.status_code == 200


async def test_gzip_bomb_is_refused(small: ControlPlane) -> None:
    bomb = gzip.compress(b"\0" * 5_000_000)

    answer = await small.post(URL, content=bomb, headers=GZIP)

    assert len(bomb) < 10_000
    assert answer.status_code == 413


def test_gzip_bomb_never_takes_more_memory_than_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    tracemalloc.start()

    with pytest.raises(TooLarge):
        inflate(bomb, 1_000_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_body_of_exactly_the_limit_inflates() -> None:
    assert inflate(gzip.compress(b"x" * 1000), 1000) == b"x" * 1000


@pytest.mark.parametrize(
    "body",
    [b"plain", gzip.compress(PUSH)[:-4], gzip.compress(PUSH) + b"rest"],
    ids=["not at all", "cut short", "with a rest"],  # a gzip header holds the time: workers would collect other names
)
def test_what_is_not_whole_gzip_is_bad_input(body: bytes) -> None:
    with pytest.raises(BadInput, match="gzip"):
        inflate(body, 10_000)


async def test_broken_gzip_is_a_bad_request(service: ControlPlane) -> None:
    answer = await service.post(URL, content=PUSH, headers=GZIP)

    assert answer.status_code == 400


async def test_unknown_encoding_is_refused_with_the_known_ones(service: ControlPlane) -> None:
    answer = await service.post(URL, content=PUSH, headers={**JSON, "content-encoding": "br"})

    assert answer.status_code == 415
    assert answer.headers["accept-encoding"] == "gzip, identity"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize(
    "url",
    [URL, "enqueue", "manage/demo/cancel", "manage/demo/sweep", "manage/demo/jobs/a/cancel", "checkout"],
)
async def test_body_of_another_type_is_refused(service: ControlPlane, kind: str, url: str) -> None:
    answer = await service.post(url, content=PUSH, headers={"content-type": kind})

    assert answer.status_code == 415
    assert "application/json" in answer.headers["accept"]


async def test_type_with_a_charset_is_taken(service: ControlPlane) -> None:
    answer = await service.post(URL, content=PUSH, headers={"content-type": "Application/JSON; charset=utf-8"})

    assert answer.status_code == 200


async def test_empty_body_says_what_functions_does_to_chunked_ones(service: ControlPlane) -> None:
    answer = await service.post(URL, content=b"", headers=JSON)

    assert answer.status_code == 400
    assert "Content-Length" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"\xff\xfe{", b'{"jobs":[{"cmd":"\xe4"}]}'])
async def test_body_that_is_not_utf_8_is_a_bad_request(service: ControlPlane, body: bytes) -> None:
    answer = await service.post(URL, content=body, headers=JSON)

    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"jobs": 1e}', b"nonsense"])
async def test_body_that_is_not_json_is_a_bad_request(service: ControlPlane, body: bytes) -> None:
    answer = await service.post(URL, content=body, headers=JSON)

    assert answer.status_code == 400
    assert "JSON" in answer.json()["detail"]
