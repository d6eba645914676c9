"""What FolderBlobs promises on top: nothing outside its folder, nothing half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobq.adapters.folder import FolderBlobs
from jobq.errors import BadInput, JobqError


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a/", "./a", "a\0b", "a\\b", "a+"]
)
async def test_key_that_could_leave_the_folder_is_bad_input(tmp_path: Path, key: str) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")

    for call in (blobs.put(key, b""), blobs.append(key, b""), blobs.get(key), blobs.delete(key)):
        with pytest.raises(BadInput):
            await call
    assert list(tmp_path.rglob("*")) == []


async def test_unfinished_put_is_never_listed(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.put("a/b", b"")
    (tmp_path / "a" / "~left-by-a-crash").write_bytes(b"half")

    assert await blobs.list("") == ["a/b"]


async def test_key_that_is_the_folder_of_another_is_refused_with_an_error_of_ours(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    await blobs.put("a/b", b"")

    with pytest.raises(JobqError):
        await blobs.put("a", b"")
    with pytest.raises(JobqError):
        await blobs.put("a/b/c", b"")
    assert await blobs.get("a") is None
    assert await blobs.get("a/b/c") is None
    await blobs.delete("a")
    assert await blobs.list("") == ["a/b"]
