"""Files shipped with jobs, at the worker: fetched once, checked, copied, and nowhere but in the job's directory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobq.core.files import put_files
from jobq.core.meter import Meter, metered
from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.errors import BadInput, Unreachable
from jobq.model.files import File, Manifest, digest_of, name_in
from jobq.model.job import Job, Reason
from jobq.worker.files import JobFiles
from tests.stacks import PLACES
from tests.worker.running import ONE_SHARD, jobs, push, shell, states, work

MONTH = "202611"
SCRIPT = b"#!/bin/sh\ncat 'data/my table'\n"
FILES = {
    "run.sh": SCRIPT,
    "data/my table": b"1 2 3",
    "data/deep/größe": b"x" * 99,
}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers make their directories."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


async def store(realm: Realm, files: Mapping[str, bytes]) -> str:
    """Each of one piece; the manifest's name."""
    manifest = Manifest(
        {path: File(len(data), (digest_of(data),), path.endswith(".sh")) for path, data in files.items()}
    )
    for data in (*files.values(), manifest.encode()):
        await store_bytes(realm, data)
    return name_in(MONTH, digest_of(manifest.encode()))


async def store_bytes(realm: Realm, data: bytes) -> str:
    name = name_in(MONTH, digest_of(data))
    await put_files(realm, {name: lambda: data})
    return name


async def run(realm: Realm, command: str, files: str, **options: Any) -> Job:
    ids = await push(realm, replace(shell(command), files=files))
    await work(realm, **options)
    return (await jobs(realm, ids))[0]


@pytest.mark.parametrize("place", PLACES, indirect=True)
async def test_files_are_below_the_jobs_directory_and_an_executable_one_can_be_run(realm: Realm) -> None:
    job = await run(realm, "./run.sh; wc -c < data/deep/größe; test ! -x 'data/my table'", await store(realm, FILES))

    assert (job.state.value, job.tail.split()) == ("succeeded", ["1", "2", "399"])


async def test_file_of_several_pieces_and_an_empty_one_are_whole(realm: Realm) -> None:
    pieces = [bytes([n]) * 300_000 for n in (1, 2, 1, 3)]
    for piece in pieces:
        await store_bytes(realm, piece)
    big = File(1_200_000, tuple(map(digest_of, pieces)))
    name = await store_bytes(realm, Manifest({"big": big, "empty": File(0, ())}).encode())

    job = await run(realm, "sha256sum < big; wc -c < empty", name)

    assert job.tail.split() == [digest_of(b"".join(pieces)), "-", "0"]


async def test_two_slots_fetch_each_file_once_and_nothing_is_left(realm: Realm, temporary: Path) -> None:
    meter = Meter()
    files = await store(realm, FILES)
    await push(realm, *[replace(shell("./run.sh"), files=files)] * 8)

    await work(Realm(metered(realm.stack, meter), realm.name), slots=2)

    assert meter["blob.get"] == len(FILES) + 1
    assert list(temporary.iterdir()) == []


async def test_job_that_changes_its_copy_changes_nobody_elses(realm: Realm) -> None:
    files = await store(realm, FILES)
    spoil = "./run.sh && echo spoilt > 'data/my table' && echo spoilt > run.sh && rm -r data"

    ids = await push(realm, *[replace(shell(spoil), files=files)] * 3)
    await work(realm)

    assert {job.tail for job in await jobs(realm, ids)} == {"1 2 3"}


async def test_jobs_of_a_chunk_get_their_files(realm: Realm) -> None:
    files = await store(realm, FILES)
    specs = [replace(shell("cat 'data/my table'"), files=files)] * 2
    ids = await push(realm, *specs, chunk=2, ids=ONE_SHARD[:2])

    await work(realm)

    assert [job.tail for job in await jobs(realm, ids)] == ["1 2 3"] * 2


X = digest_of(b"x")
HOSTILE = {
    "a path up": {"../up": {"size": 1, "pieces": [X]}},
    "an absolute path": {"/tmp/jobq-hostile": {"size": 1, "pieces": [X]}},
    "a path up and down": {"a/../../work/../up": {"size": 1, "pieces": [X]}},
    "a file as a folder": {"a": {"size": 1, "pieces": [X]}, "a/b": {"size": 1, "pieces": [X]}},
    "no path": {"": {"size": 1, "pieces": [X]}},
    "a path that ends in a slash": {"a/": {"size": 1, "pieces": [X]}},
    "a key of another blob": {"a": {"size": 1, "pieces": ["../../log/x"]}},
    "a link": {"a": {"size": 1, "pieces": [X], "link": "/etc/passwd"}, "a/x": {"size": 1, "pieces": [X]}},
    "a false size": {"a": {"size": 2, "pieces": [X]}},
    "pieces without end": {"a": {"size": 1, "pieces": [X] * 1000}},
    "a piece that is gone": {"a": {"size": 1, "pieces": ["0" * 64]}},
}


@pytest.mark.parametrize("files", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_manifest_ends_the_job_and_writes_nothing_elsewhere(
    realm: Realm, files: dict[str, Any], temporary: Path, tmp_path: Path
) -> None:
    await store_bytes(realm, b"x")
    name = await store_bytes(realm, json.dumps({"v": 1, "files": files}).encode())

    job = await run(realm, f"touch {tmp_path}/ran", name)

    assert (job.state.value, job.reason, job.attempt) == ("failed", Reason.UNDECODABLE, 1)
    assert repr(min(files))[1:5] in job.message
    assert not (tmp_path / "ran").exists()
    assert list(temporary.iterdir()) == []
    assert not Path("/tmp/jobq-hostile").exists()


@pytest.mark.parametrize("data", [b"no manifest", b"[]", b'{"v": 2}', b"\xff" * 100, b"[" * 10_000])
async def test_what_is_no_manifest_ends_the_job(realm: Realm, data: bytes) -> None:
    job = await run(realm, "true", await store_bytes(realm, data))

    assert (job.reason, job.message.startswith("the list of its files cannot be had: ")) == (Reason.UNDECODABLE, True)


@pytest.mark.parametrize(("broken", "says"), [(b"y", "broken"), (None, "not in the store")])
async def test_file_that_is_broken_or_gone_ends_the_job_and_is_named(
    realm: Realm, broken: bytes | None, says: str
) -> None:
    files = await store(realm, {"data/x y": b"x"})
    key = f"file/{realm.name}/{MONTH}-{X}"
    await (realm.stack.blobs.delete(key) if broken is None else realm.stack.blobs.put(key, broken))

    job = await run(realm, "true", files)

    assert job.reason is Reason.UNDECODABLE
    assert "its file 'data/x y' cannot be had" in job.message
    assert says in job.message


async def test_job_whose_files_cannot_be_reached_goes_back_and_runs_later(realm: Realm) -> None:
    files = await store(realm, FILES)
    ids = await push(realm, replace(shell("./run.sh"), files=files))

    await work(Realm(NoFiles(realm.stack), realm.name), one=True, lease=timedelta(seconds=1))
    left = await states(realm, ids)
    await work(realm)

    (job,) = await jobs(realm, ids)
    assert (left, job.state.value, job.tries) == (["queued"], "succeeded", {})


async def test_machine_without_room_for_files_gives_the_job_back(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.worker.worker.PATIENCE_LATER", 0.5)
    monkeypatch.setattr(JobFiles, "_append", _no_room)
    ids = await push(realm, replace(shell("./run.sh"), files=await store(realm, FILES)))

    summary = await work(realm)

    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tries) == ("queued", {})
    assert "has no room" in str(summary.error)


async def test_what_was_fetched_goes_when_it_is_much_and_other_files_come(realm: Realm, tmp_path: Path) -> None:
    meter = Meter()
    files, metering = JobFiles(keep_bytes=10), Realm(metered(realm.stack, meter), realm.name)
    one, two = await store(realm, {"a": b"1" * 20}), await store(realm, {"b": b"2" * 20})
    for n, name in enumerate((one, one, two, one)):
        (tmp_path / str(n)).mkdir()

        await files.copy_to(metering, tmp_path / str(n), name)

    assert meter["blob.get"] == 2 * 3
    files.close()


async def test_what_was_fetched_has_no_name_that_could_be_left_behind(
    realm: Realm, temporary: Path, tmp_path: Path
) -> None:
    files = JobFiles()

    await files.copy_to(realm, tmp_path, await store(realm, {"a": b"1"}))

    assert list(temporary.iterdir()) == []
    files.close()


async def test_nothing_is_written_over(realm: Realm, tmp_path: Path) -> None:
    """A link that lies there already is not followed."""
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    files = JobFiles()

    with pytest.raises(OSError, match="exists"):
        await files.copy_to(realm, tmp_path, await store(realm, {"a": b"1"}))

    files.close()
    assert not (tmp_path / "elsewhere").exists()


async def test_missing_file_is_named(realm: Realm, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the list of its files cannot be had"):
        await JobFiles().copy_to(realm, tmp_path, f"{MONTH}-{X}")


class NoFiles:
    """A stack whose blobs do not answer for files."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.blobs = self

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        if key.startswith("file/"):
            raise Unreachable("no answer")
        return await self._stack.blobs.get(key, start=start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)


def _no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
