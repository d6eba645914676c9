"""Files from a laptop's folder to jobs on other machines: real pushes, real workers, every stack."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Processes, exit_code
from tests.until import until
from tests.worker.running import jobs, states

pytestmark = pytest.mark.slow

SCRIPT = """#!/bin/sh
sha256sum < model.bin; cat "data/my table" data/grüße.txt; echo spoilt > model.bin
"""


@pytest.fixture
def laptop(tmp_path: Path) -> Path:
    folder = tmp_path / "laptop"
    (folder / "data").mkdir(parents=True)
    (folder / "run.sh").write_text(SCRIPT)
    (folder / "run.sh").chmod(0o755)
    (folder / "model.bin").write_bytes(random.Random(1).randbytes(1_000_000))
    (folder / "data/my table").write_text("1 2 3\n")
    (folder / "data/grüße.txt").write_text("hallo\n")
    return folder


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_shipped_files_are_there_when_a_job_starts_whole_and_its_own(
    realm: Realm, processes: Processes, laptop: Path
) -> None:
    # Given a push of two commands, from the folder that has the files
    given = [word for name in ("run.sh", "model.bin", "data") for word in ("--file", name)]
    there = ("env", "-C", str(laptop))
    pushed = processes.jobq("push", "--batch", "b", *given, "-c", "./run.sh", "-c", "./run.sh", before=there)
    assert await exit_code(pushed) == 0
    stored = await realm.stack.blobs.list(f"file/{realm.name}/")

    # When a worker runs them elsewhere
    worker = processes.worker("-n", "2", "--exit-when-empty", "--visibility-timeout", "4s")
    assert await exit_code(worker) == 0

    # Then each has had all of them, as they were
    whole = hashlib.sha256((laptop / "model.bin").read_bytes()).hexdigest()
    for job in await jobs(realm, ["b-000001", "b-000002"]):
        assert (job.state.value, job.tail.split()) == ("succeeded", [whole, "-", "1", "2", "3", "hallo"])

    # And the same push again stores nothing
    assert len(stored) == 5
    again = processes.jobq("push", "--batch", "c", *given, "-c", "./run.sh", before=there)
    assert await exit_code(again) == 0
    assert "4 files for the jobs, stored before" in processes.said(2)
    assert await realm.stack.blobs.list(f"file/{realm.name}/") == stored


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_job_of_a_killed_worker_finds_its_files_at_the_next_one(
    realm: Realm, processes: Processes, laptop: Path, hold: Path
) -> None:
    command = f"rm model.bin; while [ -e {hold} ] && [ $JOBQ_ATTEMPT = 1 ]; do sleep 0.1; done; cat 'data/my table'"
    pushed = processes.jobq("push", "--batch", "b", "--file", ".", "-c", command, before=("env", "-C", str(laptop)))
    assert await exit_code(pushed) == 0
    first = processes.worker("--visibility-timeout", "4s")
    await until(lambda: _is(realm, "running"))

    first.kill()
    second = processes.worker("--exit-when-empty", "--visibility-timeout", "4s")

    assert await exit_code(second) == 0
    (job,) = await jobs(realm, ["b-000001"])
    assert (job.state.value, job.attempt, job.tail.split()[-3:]) == ("succeeded", 2, ["1", "2", "3"])


async def _is(realm: Realm, state: str) -> bool:
    return await states(realm, ["b-000001"]) == [state]
