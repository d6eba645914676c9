"""What a worker does when it is told to stop."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import jobs, push, states

only_local = pytest.mark.parametrize("place", ["local"], indirect=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
async def test_told_to_stop_the_worker_puts_its_job_back_at_once_and_uncounted(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path, number: signal.Signals
) -> None:
    # Given a worker with a long lease in mid-job
    ran = tmp_path / "ran"
    wait = f"trap 'echo told >> {ran}; exit 1' TERM; while [ -e {hold} ]; do sleep 0.1; done"
    ids = await push(realm, f"echo $JOBQ_ATTEMPT >> {ran}; [ $JOBQ_ATTEMPT -gt 1 ] || {{ {wait}; }}")
    stopped = processes.worker("--visibility-timeout", "1h")
    await until(lambda: lines_of(ran) == ["1"])

    # When it is told to stop, and another worker comes
    stopped.send_signal(number)
    assert await exit_code(stopped) == 0
    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tries, job.failures) == ("queued", {"preempted": 1}, 0)
    assert await exit_code(processes.worker("--exit-when-empty")) == 0

    # Then that one has run it
    (job,) = await jobs(realm, ids)
    assert lines_of(ran) == ["1", "told", "2"]
    assert (job.state.value, job.tries) == ("succeeded", {"preempted": 1})
    await assert_counts_equal_rows(realm)


@only_local
async def test_ctrl_c_puts_the_job_back_and_ends_with_130(realm: Realm, processes: Processes, tmp_path: Path) -> None:
    ids = await push(realm, f"echo on >> {tmp_path}/ran; sleep 600")
    worker = processes.worker()
    await until(lambda: lines_of(tmp_path / "ran"))

    worker.send_signal(signal.SIGINT)

    assert await exit_code(worker) == 130
    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tries) == ("queued", {"preempted": 1})
    assert (await realm.queue("0").look(0)).messages == 1


@only_local
async def test_second_ctrl_c_ends_at_once_and_kills_the_job(realm: Realm, processes: Processes, tmp_path: Path) -> None:
    # Given a job that does not want to stop, and all the patience in the world
    told = tmp_path / "told"
    job = f"trap 'touch {told}' TERM; echo $$ >> {tmp_path}/ran; while :; do sleep 0.1; done"
    ids = await push(realm, job)
    worker = processes.worker("--grace", "1h")
    await until(lambda: lines_of(tmp_path / "ran"))
    worker.send_signal(signal.SIGINT)
    await until(told.exists)

    # When Ctrl-C comes again
    worker.send_signal(signal.SIGINT)

    # Then
    assert await exit_code(worker) == 130
    await until(lambda: not is_alive(int(lines_of(tmp_path / "ran")[0])))
    assert await states(realm, ids) == ["running"]  # until its lease has ended
    await assert_counts_equal_rows(realm)


@only_local
async def test_drained_worker_finishes_its_job_and_takes_no_other(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    ids = await push(realm, f"echo on >> {tmp_path}/ran; while [ -e {hold} ]; do sleep 0.1; done", "true")
    worker = processes.worker()
    await until(lambda: lines_of(tmp_path / "ran"))

    worker.send_signal(signal.SIGUSR1)
    hold.unlink()

    assert await exit_code(worker) == 0
    assert await states(realm, ids) == ["succeeded", "queued"]


@only_local
@pytest.mark.parametrize(("command", "code"), [("true", 0), ("exit 3", 5), ("kill -9 $$", 5)])
async def test_pull_ends_with_five_when_its_job_has_failed(
    realm: Realm, processes: Processes, command: str, code: int
) -> None:
    await push(realm, command)

    assert await exit_code(processes.jobq("pull")) == code
