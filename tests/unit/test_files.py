"""Files shipped with jobs: manifests that may be a stranger's, names that say what their bytes are, and their end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobq.core.files import forget_files, get_file, missing_files, put_files
from jobq.core.operate import remove
from jobq.core.rows import job_of
from jobq.errors import BadInput
from jobq.model.files import File, Manifest, digest_of, file_path, name_in
from jobq.model.job import NewJob, Spec
from jobq.model.wire import spec_from_json, spec_to_json
from tests.proof.world import World, jobs_in

X = digest_of(b"x")
LONG = "ä" * 128


def stored(data: bytes, month: str = "202601") -> str:
    return name_in(month, digest_of(data))


def manifest(path: object = "a", **file: object) -> bytes:
    return json.dumps({"v": 1, "files": {path: {"size": 1, "pieces": [X], **file}}}).encode()


@pytest.mark.parametrize(
    ("given", "path"),
    [("x", "x"), ("./x", "x"), ("a//b/./c/", "a/b/c"), (".", ""), ("a b/ü ☃", "a b/ü ☃"), ("..x/...", "..x/...")],
)
def test_path_is_kept_without_needless_parts(given: str, path: str) -> None:
    assert file_path(given) == path


BAD_PATHS = ["/etc/passwd", "//x", "..", "../x", "a/../../x", "a/..", "a\nb", "a\0b", "\udc80", LONG, "a/" * 501 + "a"]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_path_that_leads_elsewhere_or_is_no_name_everywhere_is_refused(path: str) -> None:
    with pytest.raises(BadInput):
        file_path(path)


def test_manifest_comes_back_and_is_the_same_for_the_same_files() -> None:
    one, two = File(3, (X,), is_executable=True), File(0, ())
    written = Manifest({"b": two, "a/b ü": one}).encode()

    assert written == Manifest({"a/b ü": one, "b": two}).encode()
    assert Manifest.parse(written).files == {"a/b ü": one, "b": two}


@pytest.mark.parametrize(
    "data",
    [
        *(manifest(path) for path in [*BAD_PATHS, "", "./a", "a/", "a//b"]),
        *(manifest(size=size) for size in (-1, 2**40, "1", 1.0, None, True)),
        *(manifest(pieces=pieces) for pieces in (None, "x", [1], [X.upper()], [X[1:]], ["../../x"], {X: 1})),
        manifest(executable="yes"),
        json.dumps({"v": 1, "files": {"a": {"size": 0, "pieces": []}, "a/b": {"size": 0, "pieces": []}}}).encode(),
        b'{"v": 2, "files": {}}',
        b'{"v": 1, "files": []}',
        b'{"v": 1, "files": {"a": []}}',
        b"[]",
        b"\xff",
        b"",
        b"[" * 100_000,
    ],
)
def test_manifest_that_jobq_did_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        Manifest.parse(data)


@pytest.mark.parametrize("name", ["x", X, f"202613-{X}", f"202601-{X[1:]}", f"202601-{X}/", f"../{X}", f"202601-{X}\n"])
def test_what_is_no_name_of_stored_files_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        spec_from_json({"cmd": "true", "files": name})


@pytest.mark.parametrize("value", [7, None, [], {}])
def test_files_of_a_spec_are_a_text(value: object) -> None:
    with pytest.raises(BadInput, match="'files'"):
        spec_from_json({"cmd": "true", "files": value})


async def test_files_are_in_the_spec_the_ticket_and_the_row() -> None:
    world, name = World(), stored(b"m")
    await put_files(world.realm, {name: lambda: b"m"})
    spec = Spec(command="true" * 20_000, files=name)

    await world.push(NewJob("b-1", spec))

    assert spec_from_json(spec_to_json(spec)) == spec
    assert (await world.job("b-1")).spec.files == name
    (row,) = [row for n in range(8) for row in await world.stack.table.scan(f"proof~{n}", "job~")]
    assert job_of(row).spec.files == name


async def test_stored_is_what_its_name_says_and_nothing_else() -> None:
    world = World()
    good, bad = stored(b"good"), stored(b"bad")

    await put_files(world.realm, {good: lambda: b"good"})
    with pytest.raises(BadInput, match="another digest"):
        await put_files(world.realm, {bad: lambda: b"worse"})

    assert await missing_files(world.realm, [bad, good]) == [bad]
    assert await get_file(world.realm, good) == b"good"
    with pytest.raises(BadInput, match=r"not in the store .* push again"):
        await get_file(world.realm, bad)


async def test_empty_content_is_not_taken_for_a_missing_one() -> None:
    world = World()
    await put_files(world.realm, {stored(b""): lambda: b""})

    assert await missing_files(world.realm, [stored(b"")]) == []


async def test_what_was_broken_in_the_store_is_refused() -> None:
    world = World()
    await world.stack.blobs.put(f"file/proof/{stored(b'good')}", b"worse")

    with pytest.raises(BadInput, match="is broken"):
        await get_file(world.realm, stored(b"good"))


async def test_push_that_names_files_that_are_not_there_stores_nothing() -> None:
    world = World()

    with pytest.raises(BadInput, match="are not stored"):
        await world.push(NewJob("b-1", Spec(command="true")), NewJob("b-2", Spec(command="true", files=stored(b"m"))))

    assert await jobs_in(world.realm) == {}


async def test_files_of_past_months_go_when_no_job_names_them() -> None:
    # Given files of January, which a job names, and of February, which none does
    world = World()
    january, piece, february = stored(b"m"), stored(b"p"), stored(b"m", "202602")
    await put_files(world.realm, {january: lambda: b"m", piece: lambda: b"p", february: lambda: b"m"})
    await world.stack.blobs.put("file/proof/not-ours", b"")
    await world.stack.blobs.put(f"file/other/{january}", b"m")
    await world.push(NewJob("b-1", Spec(command="true", files=january)))

    # When it is March, then nothing goes: a push of February may still be under way
    world.clock.move(by=timedelta(days=31 + 28 + 30))
    assert await forget_files(world.realm) == 0

    # When it is April
    world.clock.move(by=timedelta(days=1))
    assert await forget_files(world.realm) == 1
    assert await missing_files(world.realm, [january, piece, february]) == [february]

    # When the job is gone, too
    await remove(world.realm, "b-1")
    assert await forget_files(world.realm) == 2
    assert await world.stack.blobs.list("file/") == [f"file/other/{january}", "file/proof/not-ours"]
