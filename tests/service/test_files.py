"""Files over HTTP: asked for, stored by what they are, and named by jobs."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from jobq.model.files import MAX_MANIFEST_BYTES, PIECE_BYTES, File, Manifest, digest_of, name_in
from tests.service.control_plane import ControlPlane

BYTES = {"content-type": "application/octet-stream"}
DATA = bytes(range(256)) * 40
NAME = name_in("202611", digest_of(DATA))
URL = "enqueue/demo/files"


async def put(service: ControlPlane, data: bytes, name: str = NAME, **more: Any) -> httpx.Response:
    return await service.ask("PUT", f"{URL}/{name}", content=data, **{"headers": BYTES, **more})


async def test_stored_file_is_not_missing_any_more(service: ControlPlane) -> None:
    other = name_in("202611", digest_of(b"other"))
    before = await service.post(URL, {"names": [NAME, other]})

    stored = await put(service, DATA)

    assert (stored.status_code, stored.json()) == (200, {"name": NAME, "size": len(DATA)})
    assert before.json() == {"missing": [NAME, other]}
    assert (await service.post(URL, {"names": [NAME, other]})).json() == {"missing": [other]}
    assert (await service.post(URL.replace("demo", "other"), {"names": [NAME]})).json() == {"missing": [NAME]}


async def test_file_may_come_as_gzip(service: ControlPlane) -> None:
    answer = await put(service, gzip.compress(DATA), headers={**BYTES, "content-encoding": "gzip"})

    assert answer.json()["size"] == len(DATA)


async def test_largest_piece_fits_in_a_request(service: ControlPlane) -> None:
    data = bytes(max(PIECE_BYTES, MAX_MANIFEST_BYTES))

    assert (await put(service, data, name_in("202611", digest_of(data)))).status_code == 200


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"x"])
async def test_bytes_of_another_digest_are_refused_and_not_stored(service: ControlPlane, data: bytes) -> None:
    answer = await put(service, data)

    assert answer.status_code == 400
    assert "another digest" in answer.json()["detail"]
    assert (await service.post(URL, {"names": [NAME]})).json() == {"missing": [NAME]}


@pytest.mark.parametrize("name", ["x", "..", digest_of(DATA), f"202600-{digest_of(DATA)}", f"{NAME}0", f"{NAME}%2Fx"])
async def test_what_is_no_name_is_refused(service: ControlPlane, name: str) -> None:
    stored = await put(service, DATA, name)
    asked = await service.post(URL, {"names": [name]})

    assert stored.status_code in (400, 404, 405)
    assert asked.status_code == 400
    assert "SHA-256" in asked.json()["detail"]


async def test_file_over_the_limit_is_refused(service: ControlPlane) -> None:
    service.app.state.max_body_bytes = len(DATA) - 1

    answer = await put(service, DATA)

    assert answer.status_code == 413
    assert "in pieces" in answer.json()["detail"]


async def test_file_is_sent_as_bytes(service: ControlPlane) -> None:
    assert (await put(service, DATA, headers={"content-type": "text/plain"})).status_code == 415


@pytest.mark.parametrize("document", [{"names": "x"}, {"names": [1]}, {"name": NAME}, {"names": [NAME] * 10_001}])
async def test_bad_question_is_refused(service: ControlPlane, document: object) -> None:
    assert (await service.post(URL, document)).status_code == 400


async def test_job_names_files_that_are_stored(service: ControlPlane) -> None:
    job = {"id": "j", "cmd": "true", "files": NAME}
    early = await service.push(job)
    await put(service, DATA)

    pushed = await service.push(job)

    assert (early.status_code, pushed.status_code) == (400, 200)
    assert "not stored" in early.json()["detail"]
    assert (await service.get("status/demo/jobs/j")).json()["files"] == NAME


async def test_what_was_shipped_with_a_job_is_listed(service: ControlPlane) -> None:
    manifest = Manifest({"run.sh": File(11, ("a" * 64,), is_executable=True), "data/x y.bin": File(0, ())}).encode()
    name = name_in("202611", digest_of(manifest))
    await put(service, manifest, name)
    await service.push({"id": "j", "cmd": "true", "files": name}, {"id": "none", "cmd": "true"})

    listed = await service.get("status/demo/jobs/j/files")

    assert listed.json() == {
        "files": [
            {"path": "data/x y.bin", "size": 0, "executable": False},
            {"path": "run.sh", "size": 11, "executable": True},
        ],
        "total": 2,
    }
    assert (await service.get("status/demo/jobs/none/files")).json() == {"files": [], "total": 0}
    assert (await service.get("status/demo/jobs/nobody/files")).status_code == 404


async def test_of_many_files_the_first_thousand_are_listed(service: ControlPlane) -> None:
    manifest = Manifest({f"{n:04}": File(0, ()) for n in range(1001)}).encode()
    name = name_in("202611", digest_of(manifest))
    await put(service, manifest, name)
    await service.push({"id": "j", "cmd": "true", "files": name})

    listed = (await service.get("status/demo/jobs/j/files")).json()

    assert (listed["total"], len(listed["files"]), listed["files"][-1]["path"]) == (1001, 1000, "0999")


async def test_what_is_no_manifest_is_said_to_be_none(service: ControlPlane) -> None:
    await put(service, DATA)
    await service.push({"id": "j", "cmd": "true", "files": NAME})

    refused = await service.get("status/demo/jobs/j/files")

    assert refused.status_code == 400
    assert refused.headers["content-type"] == "application/problem+json"
