"""A directory that is being written, copied: all of it at the end, whole files always, and never less than said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobq.adapters.folder import MemoryBlobs
from jobq.sync import mirror as mirror_module
from jobq.sync.mirror import CopyFailed, Mirror
from jobq.sync.target import BlobTarget, FolderTarget
from jobq.sync.tree import FLUSH_NOTE, Pick


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def read(root: Path) -> dict[str, str]:
    return {file.relative_to(root).as_posix(): file.read_text() for file in root.rglob("*") if file.is_file()}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "FIRST_PAUSE", 0.01)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    return source


class Counting(FolderTarget):
    """Says what was copied."""

    puts: list[str]

    async def put(self, path: str, file: Path) -> None:
        await super().put(path, file)
        self.puts.append(path)


def counting(root: Path) -> Counting:
    target = Counting(root)
    object.__setattr__(target, "puts", [])
    return target


async def test_what_has_changed_is_copied_and_nothing_else(source: Path, tmp_path: Path) -> None:
    target = counting(tmp_path / "to")
    mirror = Mirror(source, target, Pick(), width=2)
    write(source, a="1", d__e__b="2")
    write(tmp_path / "to", old="kept", a="before")
    await mirror.copy()

    write(source, a="longer")
    await mirror.copy()
    await mirror.finish()

    assert sorted(target.puts) == ["a", "a", "d/e/b"]
    assert read(tmp_path / "to") == {"a": "longer", "d/e/b": "2", "old": "kept"}


async def test_executable_bit_and_time_are_kept(source: Path, tmp_path: Path) -> None:
    write(source, run="#!/bin/sh")
    (source / "run").chmod(0o755)

    await Mirror(source, FolderTarget(tmp_path / "to"), Pick(), width=1).finish()

    before, after = (source / "run").stat(), (tmp_path / "to/run").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("include", "exclude", "copied"),
    [
        ("", "*.ckpt", {"a.txt", "d/b.txt"}),
        ("*.ckpt", "", {"a.ckpt", "d/b.ckpt"}),
        ("*.txt, *.ckpt", "d/*", {"a.txt", "a.ckpt"}),
        ("d/*;a.txt", "b.ckpt", {"a.txt", "d/b.txt"}),
    ],
)
async def test_patterns_say_what_is_copied(
    source: Path, tmp_path: Path, include: str, exclude: str, copied: set[str]
) -> None:
    write(source, **{"a.txt": "", "a.ckpt": "", "d__b.txt": "", "d__b.ckpt": "", FLUSH_NOTE: ""})

    await Mirror(source, FolderTarget(tmp_path / "to"), Pick.of(include, exclude), width=3).finish()

    assert read(tmp_path / "to").keys() == copied


async def test_links_to_files_are_copied_as_files_and_other_things_are_passed_over(
    source: Path, tmp_path: Path
) -> None:
    write(source, **{"step-1": "x"})
    (source / "last").symlink_to("step-1")
    (source / "nothing").symlink_to("gone")
    (source / "loop").symlink_to(source)
    (source / "d").mkdir()

    await Mirror(source, FolderTarget(tmp_path / "to"), Pick(), width=3).finish()

    assert read(tmp_path / "to") == {"step-1": "x", "last": "x"}
    assert not (tmp_path / "to/last").is_symlink()


async def test_files_go_once_they_were_copied_and_did_not_change(source: Path, tmp_path: Path) -> None:
    mirror = Mirror(source, FolderTarget(tmp_path / "to"), Pick(), width=1, deletes=True)
    write(source, done="1", growing="1")
    await mirror.copy()
    assert read(source).keys() == {"done", "growing"}

    write(source, growing="12")
    await mirror.copy()
    assert read(source) == {"growing": "12"}

    await mirror.finish()
    assert read(source) == {}
    assert read(tmp_path / "to") == {"done": "1", "growing": "12"}


async def test_file_that_cannot_be_copied_is_named_and_the_others_are(source: Path, tmp_path: Path) -> None:
    """Whoever runs the tests may be root, so it is the place that is wrong: there is a folder in it."""
    write(source, a="1", b="2")
    (tmp_path / "to/a").mkdir(parents=True)

    with pytest.raises(CopyFailed, match=r"^a: .*directory"):
        await Mirror(source, FolderTarget(tmp_path / "to"), Pick(), width=1).finish()

    assert (tmp_path / "to/b").read_text() == "2"
    assert {file.name for file in (tmp_path / "to").iterdir()} == {"a", "b"}  # nothing half done


async def test_copy_that_fails_for_a_while_is_repeated(source: Path, tmp_path: Path) -> None:
    class Shaky(FolderTarget):
        async def put(self, path: str, file: Path) -> None:
            left = int((tmp_path / "left").read_text())
            (tmp_path / "left").write_text(str(left - 1))
            if left:
                raise OSError("the mount is away")
            await super().put(path, file)

    write(source, a="1")
    write(tmp_path, left="3")
    await Mirror(source, Shaky(tmp_path / "to"), Pick(), width=1).finish()
    assert read(tmp_path / "to") == {"a": "1"}

    write(source, a="2")
    write(tmp_path, left="4")
    with pytest.raises(CopyFailed, match="a: the mount is away"):
        await Mirror(source, Shaky(tmp_path / "to"), Pick(), width=1).finish()


async def test_file_that_is_written_while_it_is_copied_is_copied_again(source: Path, tmp_path: Path) -> None:
    class Slow(FolderTarget):
        async def put(self, path: str, file: Path) -> None:
            await super().put(path, file)
            if file.read_text() == "1":
                file.write_text("12")

    write(source, a="1")
    mirror = Mirror(source, Slow(tmp_path / "to"), Pick(), width=1)
    await mirror.copy()
    assert read(tmp_path / "to") == {"a": "1"}

    await mirror.finish()

    assert read(tmp_path / "to") == {"a": "12"}


async def test_blobs_have_the_prefix_and_odd_names(source: Path) -> None:
    blobs = MemoryBlobs()
    write(source, **{"a b": "1", "ü__~x": "2"})

    await Mirror(source, BlobTarget(blobs, "exp/7", _nothing), Pick(), width=2).finish()

    assert {key: await blobs.get(key) for key in await blobs.list("")} == {"exp/7/a b": b"1", "exp/7/ü/~x": b"2"}


async def test_file_that_goes_meanwhile_is_fine(source: Path, tmp_path: Path) -> None:
    class Late(FolderTarget):
        async def put(self, path: str, file: Path) -> None:
            await asyncio.to_thread(file.unlink)
            await super().put(path, file)

    write(source, a="1")

    await Mirror(source, Late(tmp_path / "to"), Pick(), width=1).finish()


async def _nothing() -> None:
    pass
