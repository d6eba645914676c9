"""How an attempt ends, and why."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from jobq.adapters.folder import MemoryBlobs
from jobq.model.job import Outcome, Reason
from jobq.worker.attempt import Attempt, Program
from jobq.worker.directory import JobDirectory
from jobq.worker.supervision import Supervision
from tests.until import until
from tests.worker.attempts import KEY, attempt_at, bash, is_alive


async def run(attempt: Attempt, directory: JobDirectory) -> Outcome:
    outcome = await attempt.run(bash(str(attempt.job.spec.command)), directory)
    assert outcome is not None
    return outcome


async def test_command_that_exits_with_zero_is_ok(directory: JobDirectory, supervision: Supervision) -> None:
    outcome = await run(attempt_at("echo hello", supervision), directory)

    assert (outcome.reason, outcome.exit_code, outcome.message) == (None, 0, "")


async def test_exit_code_is_kept(directory: JobDirectory, supervision: Supervision) -> None:
    outcome = await run(attempt_at("exit 3", supervision), directory)

    assert (outcome.reason, outcome.exit_code) == (Reason.EXIT, 3)


async def test_signal_is_told_apart_from_an_exit_code(directory: JobDirectory, supervision: Supervision) -> None:
    outcome = await run(attempt_at("kill -SEGV $$", supervision), directory)

    assert (outcome.reason, outcome.exit_code, outcome.message) == (Reason.SIGNAL, 139, "killed by SIGSEGV")


async def test_command_runs_in_the_directory_given(directory: JobDirectory, supervision: Supervision) -> None:
    outcome = await run(attempt_at("pwd", supervision), directory)

    assert outcome.tail == str(directory.work)


async def test_command_that_cannot_be_started_raises_and_leaves_no_process(
    directory: JobDirectory, supervision: Supervision
) -> None:
    attempt = attempt_at("", supervision)

    with pytest.raises(FileNotFoundError):
        await attempt.run(Program(["/no/such/program"], {}), directory)


async def test_job_over_its_time_gets_sigterm(directory: JobDirectory, supervision: Supervision) -> None:
    attempt = attempt_at(
        "trap 'echo stopped; exit 1' TERM; sleep 60 & wait", supervision, timeout=timedelta(seconds=0.5)
    )

    outcome = await run(attempt, directory)

    assert (outcome.reason, outcome.tail) == (Reason.TIMEOUT, "stopped")
    assert "0:00:00.5" in outcome.message


async def test_job_that_ignores_sigterm_is_killed_with_all_it_started(
    directory: JobDirectory, supervision: Supervision
) -> None:
    # Given a job whose child ignores SIGTERM too
    command = "trap '' TERM; bash -c 'trap \"\" TERM; echo $$ > child; sleep 60; true' & wait; sleep 60; true"
    attempt = attempt_at(command, supervision, timeout=timedelta(seconds=1), grace=0.3)

    outcome = await run(attempt, directory)

    assert outcome.reason is Reason.TIMEOUT
    assert outcome.exit_code == 137
    child = int((directory.work / "child").read_text())
    await until(lambda: not is_alive(child))


async def test_child_that_holds_the_output_does_not_delay_the_end_and_is_killed(
    directory: JobDirectory, supervision: Supervision
) -> None:
    started = time.monotonic()

    outcome = await run(attempt_at("sleep 60 & echo $!", supervision), directory)

    assert outcome.is_ok
    assert time.monotonic() - started < 20
    await until(lambda: not is_alive(int(outcome.tail)))


async def test_child_that_writes_without_end_does_not_delay_the_end(
    directory: JobDirectory, supervision: Supervision
) -> None:
    started = time.monotonic()

    outcome = await run(attempt_at("yes & sleep 0.2; echo done", supervision), directory)

    assert outcome.is_ok
    assert time.monotonic() - started < 20


async def test_child_that_left_the_group_and_writes_without_end_does_not_delay_the_end(
    directory: JobDirectory, supervision: Supervision
) -> None:
    started = time.monotonic()

    outcome = await run(attempt_at("for i in {1..6}; do setsid yes & done; sleep 0.3; echo $!", supervision), directory)

    assert outcome.is_ok
    assert time.monotonic() - started < 20


async def test_stopped_job_ends_for_the_first_reason_given(directory: JobDirectory, supervision: Supervision) -> None:
    attempt = attempt_at("touch started; sleep 60", supervision)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(attempt, directory))
        await until((directory.work / "started").exists)
        attempt.stop(Reason.PREEMPTED)
        attempt.stop(Reason.CANCELLED)

    assert running.result().reason is Reason.PREEMPTED


async def test_stopped_job_gets_sigterm_even_if_it_has_stopped_itself(
    directory: JobDirectory, supervision: Supervision
) -> None:
    attempt = attempt_at("touch started; kill -STOP $$; sleep 60", supervision)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(attempt, directory))
        await until((directory.work / "started").exists)
        attempt.stop(Reason.CANCELLED)

    assert running.result().exit_code == 143


async def test_job_that_ended_before_it_was_stopped_keeps_its_own_end(
    directory: JobDirectory, supervision: Supervision
) -> None:
    # Given a job at its end, while its output is being stored
    blobs = SlowBlobs()
    attempt = attempt_at("echo done", supervision, blobs=blobs)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(attempt, directory))
        await until(lambda: blobs.is_asked)
        attempt.stop(Reason.PREEMPTED)
        blobs.go_on.set()

    assert running.result().is_ok


async def test_abandoned_job_is_killed_at_once_and_reports_nothing(
    directory: JobDirectory, supervision: Supervision
) -> None:
    attempt = attempt_at("trap '' TERM; touch started; sleep 60; true", supervision, grace=600)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempt.run(bash(str(attempt.job.spec.command)), directory))
        await until((directory.work / "started").exists)
        attempt.abandon()

    assert running.result() is None


async def test_job_abandoned_in_its_grace_is_killed_at_once(directory: JobDirectory, supervision: Supervision) -> None:
    # Given a job that was told to stop, and ignores it
    attempt = attempt_at(
        "trap 'touch told' TERM; touch started; while true; do sleep 0.05; done", supervision, grace=600
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempt.run(bash(str(attempt.job.spec.command)), directory))
        await until((directory.work / "started").exists)
        attempt.stop(Reason.PREEMPTED)
        await until((directory.work / "told").exists)
        attempt.abandon()

    assert running.result() is None


async def test_storage_that_hangs_does_not_delay_the_kill_of_an_abandoned_job(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch, supervision: Supervision
) -> None:
    # Given output that is being stored, for ever
    monkeypatch.setattr("jobq.worker.attempt.FLUSH_SECONDS", 0.05)
    blobs = SlowBlobs()
    attempt = attempt_at("echo $$; sleep 60; true", supervision, blobs=blobs)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(attempt.run(bash(str(attempt.job.spec.command)), directory))
        await until(lambda: blobs.is_asked)
        attempt.abandon()

    assert running.result() is None
    assert not is_alive(int(attempt.output.tail))


async def test_output_of_a_long_job_is_stored_while_it_runs(
    directory: JobDirectory, monkeypatch: pytest.MonkeyPatch, supervision: Supervision
) -> None:
    monkeypatch.setattr("jobq.worker.attempt.FLUSH_SECONDS", 0.05)
    blobs = MemoryBlobs()
    attempt = attempt_at("echo early; until [ -e seen ]; do sleep 0.05; done; echo late", supervision, blobs=blobs)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(attempt, directory))
        await until(lambda: _stored(blobs, b"early\n"))
        (directory.work / "seen").touch()

    assert running.result().log == KEY
    assert await blobs.get(KEY) == b"early\nlate\n"


async def _stored(blobs: MemoryBlobs, data: bytes) -> bool:
    return await blobs.get(KEY) == data


class SlowBlobs(MemoryBlobs):
    """Does not answer a write until told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = False
        self.go_on = asyncio.Event()

    async def put(self, key: str, data: bytes) -> None:
        self.is_asked = True
        await self.go_on.wait()
        await super().put(key, data)

    async def append(self, key: str, data: bytes) -> None:
        self.is_asked = True
        await self.go_on.wait()
        await super().append(key, data)
