"""What a job writes: stored before it counts as done, and back at its next attempt, wherever that runs."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobq.adapters.azure import AzureStack
from jobq.core.ports import BlobStore
from jobq.core.realm import Realm
from jobq.model.job import JobState, Limits, Reason, Spec
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import jobs, push, shell

pytestmark = pytest.mark.slow
# A realm on Service Bus keeps its outputs where one on Storage does.
everywhere = pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)

OFTEN = {"AMLT_DIRSYNC_FREQ": "0.2"}
LEASE = ("--visibility-timeout", "4s")
TRAIN = """
step=$(cat $JOBQ_CHECKPOINT_DIR/step 2>/dev/null || echo 0); echo "$JOBQ_ATTEMPT from $step" >> {told}
trap 'echo term >> {told}; exit 1' TERM
while [ $step -lt 5 ]; do
  step=$((step + 1)); echo $step > $JOBQ_CHECKPOINT_DIR/.new; mv $JOBQ_CHECKPOINT_DIR/.new $JOBQ_CHECKPOINT_DIR/step
  [ $step -ne $((2 * JOBQ_ATTEMPT)) ] || {{ echo held >> {told}; while :; do sleep 0.05; done; }}
done
echo "$step steps" > $JOBQ_OUTPUT_DIR/model
"""
"""Stops at step 2, and at step 4 in its second attempt."""


def copied(command: str, target: str, *, retries: int = 0, env: dict[str, str] | None = None) -> Spec:
    return Spec(command=command, env=env or {}, outputs=target, limits=Limits(retries=retries))


@everywhere
async def test_outputs_are_there_when_the_job_has_succeeded(realm: Realm, processes: Processes, tmp_path: Path) -> None:
    command = "mkdir $JOBQ_OUTPUT_DIR/d; echo $JOBQ_JOB_ID > $AMLT_DIRSYNC_DIR/d/id; echo x > $AMLT_DIRSYNC_DIR/a.tmp"
    spec = copied(command, f"{tmp_path}/out/{{batch}}/{{job_id}}", env={"AMLT_DIRSYNC_EXCLUDE": "*.tmp,*.bak"})
    ids = await push(realm, spec, spec, batch="exp")

    assert await exit_code(processes.worker("-n", "2", "--exit-when-empty")) == 0

    assert [job.state for job in await jobs(realm, ids)] == [JobState.SUCCEEDED] * 2
    files = {file.relative_to(tmp_path / "out").as_posix(): file.read_text() for file in _files(tmp_path / "out")}
    assert files == {"exp/exp-1/d/id": "exp-1\n", "exp/exp-2/d/id": "exp-2\n"}


@pytest.fixture
async def container(azurite: str) -> AsyncIterator[tuple[str, BlobStore]]:
    """A container's name, and what is in it."""
    name = f"out-{uuid.uuid4().hex[:20]}"
    stack = AzureStack.from_connection_string(azurite, container=name)
    yield name, stack.blobs
    await stack.close()


@pytest.mark.parametrize("place", ["azurite", "servicebus"], indirect=True)
async def test_outputs_go_to_a_container_of_the_realms_account(
    realm: Realm, processes: Processes, container: tuple[str, BlobStore]
) -> None:
    name, blobs = container
    ids = await push(
        realm, copied("mkdir $JOBQ_OUTPUT_DIR/d; seq 9 > $JOBQ_OUTPUT_DIR/d/x", f"az://{name}/a/{{job_id}}")
    )

    assert await exit_code(processes.worker("--exit-when-empty")) == 0

    (job,) = await jobs(realm, ids)
    assert job.state is JobState.SUCCEEDED
    assert {key: await blobs.get(key) for key in await blobs.list("")} == {"a/b-1/d/x": b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"}


@everywhere
async def test_job_whose_outputs_cannot_be_stored_has_not_succeeded(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a place where a folder is in a file's way, and somebody who moves it away after the first attempt
    (tmp_path / "out/model").mkdir(parents=True)
    command = f"echo good > $JOBQ_OUTPUT_DIR/model; [ $JOBQ_ATTEMPT = 1 ] || rmdir {tmp_path}/out/model"
    once, twice = (copied(command, f"{tmp_path}/out", retries=retries) for retries in (0, 1))
    ids = await push(realm, once) + await push(realm, twice, batch="again")

    # When both are run, side by side
    assert await exit_code(processes.worker("-n", "2", "--exit-when-empty")) == 0

    # Then the one says so, and the other is tried again
    failed, retried = await jobs(realm, ids)
    assert (failed.state, failed.reason, failed.exit_code) == (JobState.FAILED, Reason.UPLOAD, 0)
    assert "its outputs could not be stored: model: " in failed.message
    assert (retried.state, retried.tries) == (JobState.SUCCEEDED, {Reason.UPLOAD: 1})
    assert (tmp_path / "out/model").read_text() == "good\n"


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_container_without_an_account_is_a_mistake_that_is_named(realm: Realm, processes: Processes) -> None:
    ids = await push(realm, copied("echo ran", "az://results/x"))

    assert await exit_code(processes.worker("--exit-when-empty")) == 0

    (job,) = await jobs(realm, ids)
    assert (job.state, job.reason, job.tail) == (JobState.FAILED, Reason.UNDECODABLE, "")
    assert "https://<account>.blob.core.windows.net/results/x" in job.message


@everywhere
async def test_training_job_that_loses_its_machine_twice_goes_on_where_it_was(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a job with a checkpoint
    told = tmp_path / "told"
    ids = await push(realm, copied(TRAIN.format(told=told), f"{tmp_path}/out", env=OFTEN))

    # When its first machine is told to go, and its second one vanishes
    first = processes.worker(*LEASE)
    await until(lambda: lines_of(told)[-1:] == ["held"])
    first.terminate()
    assert await exit_code(first) == 0
    second = processes.worker(*LEASE)
    await until(lambda: _is_saved(realm, "000002", b"4\n"))
    second.send_signal(signal.SIGKILL)

    # Then the third ends it, with nothing lost, and nothing left behind
    third = processes.worker(*LEASE)
    await until(lambda: _ended(realm, ids))
    third.terminate()
    assert await exit_code(third) == 0
    (job,) = await jobs(realm, ids)
    assert (job.state, job.attempt, job.tries) == (JobState.SUCCEEDED, 3, {Reason.PREEMPTED: 1, Reason.LOST: 1})
    assert told.read_text().split("\n") == ["1 from 0", "held", "term", "2 from 2", "held", "3 from 4", ""]
    assert (tmp_path / "out/model").read_text() == "5 steps\n"
    assert not await _checkpoint(realm)
    await assert_counts_equal_rows(realm)


@everywhere
async def test_job_that_fails_begins_its_next_try_with_what_it_had(realm: Realm, processes: Processes) -> None:
    command = "cat $JOBQ_CHECKPOINT_DIR/at; echo try $JOBQ_ATTEMPT > $JOBQ_CHECKPOINT_DIR/at; [ $JOBQ_ATTEMPT = 3 ]"
    ids = await push(realm, shell(command, retries=2))

    assert await exit_code(processes.worker("--exit-when-empty")) == 0

    (job,) = await jobs(realm, ids)
    assert (job.state, job.tail) == (JobState.SUCCEEDED, "try 2")
    assert not await _checkpoint(realm)


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_nothing_goes_on_copying_when_the_worker_is_killed(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    await push(realm, copied(f"echo $PPID > {pid}; sleep 600", f"{tmp_path}/out", env=OFTEN))
    worker = processes.worker(*LEASE)
    await until(lambda: lines_of(pid))
    (supervisor,) = map(int, lines_of(pid))
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    assert len(children) == 2

    worker.send_signal(signal.SIGKILL)

    for child in map(int, children):
        await until(lambda child=child: not is_alive(child))  # type: ignore[misc]  # bound now


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_copy_that_hangs_costs_neither_lease_nor_neighbour(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a job that has ended, while the process that copies hangs, as on a mount whose server is away
    go = tmp_path / "go"
    begin = f"echo ran >> {tmp_path}/ran; until [ -e {go} ]; do sleep 0.05; done"
    command = f"{begin}; echo > $JOBQ_OUTPUT_DIR/x; touch {tmp_path}/over"
    ids = await push(realm, copied(command, f"{tmp_path}/out"))
    worker = processes.worker(*LEASE, "-n", "2", "--grace", "1s")
    await until(lambda: lines_of(tmp_path / "ran"))
    os.kill(await _copier(worker.pid), signal.SIGSTOP)
    go.touch()
    await until(lambda: (tmp_path / "over").exists())

    # When others come, for longer than a lease
    more = await push(realm, *["sleep 1"] * 6, batch="more")
    await until(lambda: _ended(realm, more))

    # Then it is still this worker's, and goes back when the worker is told to stop
    assert [job.state for job in await jobs(realm, ids)] == [JobState.RUNNING]
    worker.terminate()
    assert await exit_code(worker) == 0
    (job,) = await jobs(realm, ids)
    assert (job.state, job.tries, job.attempt) == (JobState.QUEUED, {Reason.PREEMPTED: 1}, 1)
    assert lines_of(tmp_path / "ran") == ["ran"]


async def _copier(worker: int) -> int:
    """The process that copies, of the only job with outputs."""

    def found() -> list[int]:
        mine = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    environ = (entry / "environ").read_bytes()
                except OSError:
                    continue
                if b"jobq.sync.process" in words and f"JOBQ_SUPERVISED={worker}-".encode() in environ:
                    mine.append(int(entry.name))
        return mine

    await until(found)
    return found()[0]


async def _is_saved(realm: Realm, attempt: str, text: bytes) -> bool:
    """Whether a manifest names a file that has it: before that, the next attempt begins with the state before."""
    manifests = [key for key in await _checkpoint(realm) if key.endswith(f"/{attempt}/manifest")]
    saved = [json.loads(await realm.stack.blobs.get(key) or b"{}") for key in manifests]
    keys = [entry["key"] for manifest in saved for entry in manifest["files"].values()]
    return text in [await realm.stack.blobs.get(key) for key in keys]


async def _checkpoint(realm: Realm) -> list[str]:
    return await realm.stack.blobs.list(f"checkpoint/{realm.name}/")


async def _ended(realm: Realm, ids: list[str]) -> bool:
    return all(job.state.is_final for job in await jobs(realm, ids))


def _files(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.is_file()]
