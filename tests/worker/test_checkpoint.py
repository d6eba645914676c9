"""A job's checkpoint: a whole state or none, the newest, whichever attempt saved it, and gone when it has served."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobq.adapters.folder import MemoryBlobs
from jobq.errors import BadInput, Unreachable
from jobq.model.wire import dumps
from jobq.sync.checkpoint import MOST_UNQUIET, Checkpoint
from jobq.sync.mirror import CopyFailed
from tests.worker.test_mirror import read, write

BASE = "checkpoint/r/b-1"


class Kept(MemoryBlobs):
    """Blobs that count what is written, and do something while it is."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.meanwhile = lambda: None
        self.is_away = False

    async def put_file(self, key: str, file: Path) -> None:
        if self.is_away:
            raise Unreachable("it is away")
        self.writes.append(file.name)
        await super().put_file(key, file)
        self.meanwhile()

    async def put(self, key: str, data: bytes) -> None:
        if self.is_away:
            raise Unreachable("it is away")
        await super().put(key, data)


@pytest.fixture
def blobs() -> Kept:
    return Kept()


@pytest.fixture
def attempts(blobs: Kept, tmp_path: Path) -> dict[int, Checkpoint]:
    """Three attempts, each with a directory of its own."""
    made = {}
    for number in (1, 2, 3):
        (tmp_path / str(number)).mkdir()
        made[number] = Checkpoint(blobs, BASE, number, tmp_path / str(number), width=2)
    return made


async def test_state_comes_back_whole(attempts: dict[int, Checkpoint]) -> None:
    write(attempts[1].directory, model="1", d__opt="2")
    (attempts[1].directory / "model").chmod(0o755)

    assert await attempts[1].save()

    assert await attempts[2].restore() == 2
    assert read(attempts[2].directory) == {"model": "1", "d/opt": "2"}
    assert (attempts[2].directory / "model").stat().st_mode & 0o100
    assert not (attempts[2].directory / "d/opt").stat().st_mode & 0o100


async def test_nothing_saved_is_nothing_restored(attempts: dict[int, Checkpoint], blobs: Kept) -> None:
    assert not await attempts[1].save(is_last=True)

    assert await attempts[2].restore() == 0
    assert await blobs.list("") == []


async def test_only_what_has_changed_is_stored_and_what_was_replaced_goes(
    attempts: dict[int, Checkpoint], blobs: Kept
) -> None:
    write(attempts[1].directory, large="x" * 1000, step="1")
    await attempts[1].save()
    await attempts[2].restore()

    write(attempts[2].directory, step="22")
    assert await attempts[2].save()
    assert not await attempts[2].save()

    assert sorted(blobs.writes) == ["large", "step", "step"]
    assert await attempts[3].restore() == 2
    assert read(attempts[3].directory) == {"large": "x" * 1000, "step": "22"}
    assert len(await blobs.list(f"{BASE}/")) == 2 + 2  # files and manifests


async def test_file_that_the_job_deletes_is_not_restored(attempts: dict[int, Checkpoint]) -> None:
    write(attempts[1].directory, old="1", new="2")
    await attempts[1].save()
    (attempts[1].directory / "old").unlink()
    assert await attempts[1].save()

    await attempts[2].restore()

    assert read(attempts[2].directory) == {"new": "2"}


async def test_state_that_is_being_written_is_not_saved_but_the_one_before_stays(
    attempts: dict[int, Checkpoint], blobs: Kept
) -> None:
    # Given a saved state
    directory = attempts[1].directory
    write(directory, model="1", opt="1")
    await attempts[1].save()

    # When the next one is only half there while it is copied
    write(directory, model="22")
    blobs.meanwhile = lambda: write(directory, opt="22")
    assert not await attempts[1].save()
    blobs.meanwhile = lambda: None

    # Then an attempt begins with the first, or, when it was quiet once, with the second
    await attempts[2].restore()
    assert read(attempts[2].directory) == {"model": "1", "opt": "1"}
    assert await attempts[1].save()
    await attempts[3].restore()
    assert read(attempts[3].directory) == {"model": "22", "opt": "22"}
    assert len(await blobs.list(f"{BASE}/")) == 2 + 1


async def test_state_that_is_always_being_written_is_saved_after_a_while(
    attempts: dict[int, Checkpoint], blobs: Kept
) -> None:
    directory = attempts[1].directory
    write(directory, log="")
    blobs.meanwhile = lambda: write(directory, log="x" * (1 + len((directory / "log").read_text())))

    saved = [await attempts[1].save() for _ in range(MOST_UNQUIET)]

    assert saved == [False] * (MOST_UNQUIET - 1) + [True]
    assert await attempts[2].restore() == 1


async def test_last_state_is_saved_whatever_there_is(attempts: dict[int, Checkpoint], blobs: Kept) -> None:
    write(attempts[1].directory, a="1")
    blobs.meanwhile = lambda: write(attempts[1].directory, b="1")

    assert await attempts[1].save(is_last=True)


async def test_worker_that_has_lost_its_lease_spoils_nothing(attempts: dict[int, Checkpoint]) -> None:
    # Given an attempt that goes on though another has begun
    write(attempts[1].directory, step="1")
    await attempts[1].save()
    await attempts[2].restore()
    write(attempts[2].directory, step="20")
    await attempts[2].save()

    # When the first saves once more
    write(attempts[1].directory, step="3")
    await attempts[1].save()

    # Then the third goes on where the second was
    await attempts[3].restore()
    assert read(attempts[3].directory) == {"step": "20"}


async def test_success_leaves_nothing_behind(attempts: dict[int, Checkpoint], blobs: Kept) -> None:
    for number in (1, 2):
        write(attempts[number].directory, step=str(number) * number)
        await attempts[number].save()
    await blobs.put("checkpoint/r/b-11/000001/manifest", b"another job's")

    await attempts[2].forget()

    assert await blobs.list("") == ["checkpoint/r/b-11/000001/manifest"]


async def test_backend_that_is_away_is_no_success(attempts: dict[int, Checkpoint], blobs: Kept) -> None:
    write(attempts[1].directory, step="1")
    blobs.is_away = True

    with pytest.raises(CopyFailed, match="step: it is away"):
        await attempts[1].save()

    blobs.is_away = False
    assert await attempts[1].save()


@pytest.mark.parametrize(
    ("path", "key", "why"),
    [
        ("../escaped", f"{BASE}/000001/x", "no path below"),
        ("/etc/escaped", f"{BASE}/000001/x", "no path below"),
        ("a/../../escaped", f"{BASE}/000001/x", "no path below"),
        ("mine", "checkpoint/r/b-2/000001/x", "none of its blobs"),
        ("mine", f"{BASE}/000001/gone", "mine is gone"),
    ],
)
async def test_manifest_is_a_strangers_data(
    attempts: dict[int, Checkpoint], blobs: Kept, tmp_path: Path, path: str, key: str, why: str
) -> None:
    await blobs.put(f"{BASE}/000001/x", b"x")
    await blobs.put(f"{BASE}/000001/manifest", dumps({"files": {path: {"key": key, "size": 1}}}).encode())

    with pytest.raises(BadInput, match=why):
        await attempts[2].restore()

    assert not list(tmp_path.rglob("escaped"))
