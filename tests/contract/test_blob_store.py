"""What every BlobStore promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobq.core.ports import BlobStore
from jobq.errors import Conflict

BYTES = bytes(range(256)) * 20


async def test_missing_blob_is_none(blobs: BlobStore, name: str) -> None:
    assert await blobs.get(f"{name}/missing") is None
    assert await blobs.get(f"{name}/missing", start=5) is None


@pytest.mark.parametrize("data", [b"", b"x", BYTES, b"0123456789abcdef" * 2**18], ids=["none", "one", "all", "4 MiB"])
async def test_blob_comes_back_byte_by_byte(blobs: BlobStore, name: str, data: bytes) -> None:
    await blobs.put(f"{name}/blob", data)

    assert await blobs.get(f"{name}/blob") == data


@pytest.mark.parametrize("data", [b"", b"x", b"0123456789abcdef" * 2**21], ids=["none", "one", "32 MiB"])
async def test_file_comes_back_byte_by_byte(blobs: BlobStore, name: str, tmp_path: Path, data: bytes) -> None:
    """Of a size that takes several requests each way."""
    (tmp_path / "there").write_bytes(data)
    await blobs.put(f"{name}/blob", b"what was there before")

    await blobs.put_file(f"{name}/blob", tmp_path / "there")

    assert await blobs.get_file(f"{name}/blob", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data
    assert await blobs.list(f"{name}/") == [f"{name}/blob"]


async def test_missing_blob_makes_no_file(blobs: BlobStore, name: str, tmp_path: Path) -> None:
    assert not await blobs.get_file(f"{name}/missing", tmp_path / "back")
    assert not (tmp_path / "back").exists()


async def test_file_that_cannot_be_read_is_not_stored(blobs: BlobStore, name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await blobs.put_file(f"{name}/blob", tmp_path / "missing")

    assert await blobs.get(f"{name}/blob") is None


async def test_put_replaces_what_was_there(blobs: BlobStore, name: str) -> None:
    await blobs.put(f"{name}/blob", b"a long first version")
    await blobs.put(f"{name}/blob", b"second")

    assert await blobs.get(f"{name}/blob") == b"second"


async def test_put_replaces_what_was_appended(blobs: BlobStore, name: str) -> None:
    await blobs.append(f"{name}/blob", b"a log")
    await blobs.put(f"{name}/blob", b"whole")

    assert await blobs.get(f"{name}/blob") == b"whole"
    assert await blobs.list(f"{name}/") == [f"{name}/blob"]


@pytest.mark.parametrize("start", [0, 1, 255, len(BYTES) - 1, len(BYTES), len(BYTES) + 1, 10**9])
async def test_get_answers_the_bytes_from_start_on(blobs: BlobStore, name: str, start: int) -> None:
    await blobs.put(f"{name}/put", BYTES)
    await blobs.append(f"{name}/log", BYTES)

    assert await blobs.get(f"{name}/put", start=start) == BYTES[start:]
    assert await blobs.get(f"{name}/log", start=start) == BYTES[start:]


async def test_start_past_the_end_of_an_empty_blob_gives_nothing(blobs: BlobStore, name: str) -> None:
    await blobs.put(f"{name}/empty", b"")

    assert await blobs.get(f"{name}/empty", start=0) == b""
    assert await blobs.get(f"{name}/empty", start=7) == b""


async def test_append_creates_the_blob_and_then_adds_to_its_end(blobs: BlobStore, name: str) -> None:
    await blobs.append(f"{name}/log", b"one ")
    first = await blobs.get(f"{name}/log")
    await blobs.append(f"{name}/log", b"two ")
    await blobs.append(f"{name}/log", BYTES)

    assert first == b"one "
    assert await blobs.get(f"{name}/log") == b"one two " + BYTES
    assert await blobs.get(f"{name}/log", start=4) == b"two " + BYTES


async def test_appending_nothing_is_fine(blobs: BlobStore, name: str) -> None:
    await blobs.append(f"{name}/log", b"one")
    await blobs.append(f"{name}/log", b"")

    assert await blobs.get(f"{name}/log") == b"one"


async def test_nothing_is_appended_to_a_blob_that_was_put(blobs: BlobStore, name: str) -> None:
    await blobs.put(f"{name}/blob", b"whole")

    with pytest.raises(Conflict) as conflict:
        await blobs.append(f"{name}/blob", b"more")

    assert conflict.value.index == 0
    assert await blobs.get(f"{name}/blob") == b"whole"


async def test_put_over_a_log_forbids_appending_until_it_is_deleted(blobs: BlobStore, name: str) -> None:
    await blobs.append(f"{name}/blob", b"log")
    await blobs.put(f"{name}/blob", b"whole")

    with pytest.raises(Conflict):
        await blobs.append(f"{name}/blob", b"more")
    await blobs.delete(f"{name}/blob")
    await blobs.append(f"{name}/blob", b"fresh")

    assert await blobs.get(f"{name}/blob") == b"fresh"


@pytest.mark.parametrize("kind", ["put", "append"])
async def test_deleted_blob_is_gone_and_deleting_it_again_is_fine(blobs: BlobStore, name: str, kind: str) -> None:
    await getattr(blobs, kind)(f"{name}/blob", b"data")

    await blobs.delete(f"{name}/blob")
    await blobs.delete(f"{name}/blob")

    assert await blobs.get(f"{name}/blob") is None
    assert await blobs.list(f"{name}/") == []


async def test_list_gives_the_keys_with_the_prefix_in_order(blobs: BlobStore, name: str) -> None:
    keys = [f"{name}/{key}" for key in ["a/1", "a/10", "a/2", "a-b", "a.log", "a!7e1", "ab/c/d/e", "b", "A", "_"]]
    for number, key in enumerate(keys):
        await (blobs.put if number % 2 else blobs.append)(key, b"x")

    assert await blobs.list(f"{name}/") == sorted(keys)
    for prefix in ["a", "a/", "a/1", "ab/c", "ab/c/d/e", "b", "b/", "a!", "none", "none/at/all"]:
        expected = sorted(key for key in keys if key.startswith(f"{name}/{prefix}"))
        assert await blobs.list(f"{name}/{prefix}") == expected


async def test_prefix_may_end_inside_a_name(blobs: BlobStore, name: str) -> None:
    await blobs.put(f"{name}x/blob", b"")
    await blobs.put(f"{name}y/blob", b"")

    assert await blobs.list(name) == [f"{name}x/blob", f"{name}y/blob"]
    assert f"{name}x/blob" in await blobs.list("")


async def test_long_key_is_stored(blobs: BlobStore, name: str) -> None:
    key = f"{name}/{'x' * 200}/{'y' * 200}.log"
    await blobs.put(key, b"data")

    assert await blobs.list(f"{name}/") == [key]
    assert await blobs.get(key) == b"data"
