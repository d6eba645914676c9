"""Real workers whose calls of an async function share a process, when the worker is killed or stands still."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.stacks import Place
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import call, jobs, push, states

TASKS = """
import asyncio, os
from jobq import current_job

async def note(file, hold):
    with open(file, "a") as out:
        out.write(f"{os.getpid()}\\n")
    while current_job().attempt == 1 and os.path.exists(hold):
        await asyncio.sleep(0.02)
    return os.getpid()
"""
WORKER = ("-n", "50", "--visibility-timeout", "4s", "--proc", "tasks:note")


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the folder where workers are started, and the file that its function writes to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path / "noted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "number"), [("azurite", signal.SIGKILL), ("servicebus", signal.SIGSTOP)], indirect=["place"]
)
async def test_calls_end_with_a_worker_that_is_killed_and_with_the_lease_of_one_that_stands_still(
    realm: Realm, place: Place, processes: Processes, tasks: Path, hold: Path, number: signal.Signals
) -> None:
    # Given calls that share a process
    ids = await push(realm, *[call(file=str(tasks), hold=str(hold))] * 3)
    first = processes.worker(*WORKER)
    await until(lambda: len(lines_of(tasks)) == 3)
    (pid,) = {*lines_of(tasks)}

    # When their worker cannot look after them any more
    first.send_signal(number)

    # Then nothing of them goes on, and another worker runs them, though it waits a while between such jobs
    await until(lambda: not is_alive(int(pid)))
    other = processes.worker(*WORKER, "--exit-when-empty")
    assert await exit_code(other) == 0
    assert set(await states(realm, ids)) == {"succeeded"}
    assert [job.tries for job in await jobs(realm, ids)] == [{"lost": 1}] * 3
    await assert_counts_equal_rows(realm)


async def test_worker_stopped_by_a_signal_puts_its_calls_back(
    realm: Realm, processes: Processes, tasks: Path, hold: Path
) -> None:
    ids = await push(realm, *[call(file=str(tasks), hold=str(hold))] * 20)
    worker = processes.worker(*WORKER)
    await until(lambda: len(lines_of(tasks)) == 20)

    worker.terminate()

    assert await exit_code(worker) == 0
    assert len({*lines_of(tasks)}) == 1
    assert [(job.state.value, job.tries) for job in await jobs(realm, ids)] == [("queued", {"preempted": 1})] * 20
    await assert_counts_equal_rows(realm)
