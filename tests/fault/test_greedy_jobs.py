"""Jobs that start too much, write too much, or let go of too little or too much: the worker and the others go on."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.core.logs import read_log
from jobq.core.realm import Realm
from jobq.model.job import JobState
from tests.fault.cgroups import limited
from tests.fault.processes import Process, Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import jobs, push, shell

pytestmark = pytest.mark.slow

LEASE = ("--visibility-timeout", "4s")
MEGABYTE = 1024 * 1024
OUTPUT = 100 * MEGABYTE
MOST_PROCESSES = 120


@pytest.fixture
def few_processes() -> Iterator[tuple[list[str], Path]]:
    """A command that runs another one where there may be few processes, and where they are counted."""
    with limited("pids", "pids.max", "pids.max", MOST_PROCESSES) as (before, group):
        yield before, group
        _empty(group)


WAITS = """
import os, time
while not os.path.exists("{over}"):
    time.sleep(0.1)
print("well")
"""
BOMB = """
import os, time
while True:
    try:
        if not os.fork():
            {leave}
    except OSError:
        time.sleep(0.02)
"""


@pytest.mark.parametrize(("place", "leave"), [("local", "pass"), ("servicebus", "os.setsid()")], indirect=["place"])
async def test_fork_bomb_ends_with_its_time_and_its_neighbours_come_through(
    few_processes: tuple[list[str], Path], realm: Realm, processes: Processes, tmp_path: Path, leave: str
) -> None:
    # Given a job that starts processes without end, each in its group or in one of its own, and a well one beside it
    before, group = few_processes
    (tmp_path / "bomb.py").write_text(BOMB.format(leave=leave))
    bomb = shell(f"{sys.executable} {tmp_path}/bomb.py", timeout=timedelta(seconds=4))
    (tmp_path / "waits.py").write_text(WAITS.format(over=tmp_path / "over"))
    ids = await push(realm, f"exec {sys.executable} {tmp_path}/waits.py", bomb)
    worker = processes.worker("--visibility-timeout", "20s", "--grace", "1s", "-n", "2", before=before)

    # When there are as many as there may be, and its time is over
    await until(lambda: int((group / "pids.current").read_text()) >= MOST_PROCESSES)
    await until(lambda: _ended(realm, ids[1]))
    (tmp_path / "over").touch()
    ids += await push(realm, *["echo well"] * 5, batch="c")

    # Then nothing of it goes on, and all others run, at the first try
    await until(lambda: _all_ended(realm, ids))
    done = await jobs(realm, ids)
    assert (done[1].reason, done[1].attempt) == ("timeout", 1)
    assert {(job.state, job.tail, job.attempt, *job.tries) for job in done[:1] + done[2:]} == {
        (JobState.SUCCEEDED, "well", 1)
    }
    assert len(lines_of(group / "cgroup.procs")) < 10
    worker.terminate()
    assert await exit_code(worker) == 0
    await until(lambda: not lines_of(group / "cgroup.procs"))
    await assert_counts_equal_rows(realm)


ONE_LINE = f"head -c {OUTPUT} /dev/zero | tr '\\0' x; echo; echo end"
MANY_LINES = f"yes {'x' * 99} | head -c {OUTPUT}; echo; echo end"


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_output_without_measure_costs_the_worker_little_memory(realm: Realm, processes: Processes) -> None:
    # Given a worker that copies its jobs' output, and has run a job
    worker = processes.worker(*LEASE, before=["sh", "-c", 'exec "$0" "$@" > /dev/null'])
    await until(lambda: re.search("takes jobs from", processes.said(0)))
    ids = await push(realm, "echo end", batch="small")
    await until(lambda: _all_ended(realm, ids))
    before = _peak(worker)

    # When jobs write far more than is kept, in one line and in many
    ids = await push(realm, ONE_LINE, MANY_LINES)
    await until(lambda: _all_ended(realm, ids))

    # Then both ends of it are there, and it was never in memory as a whole: what is kept of it was, and some copies
    for job in await jobs(realm, ids):
        log = await read_log(realm, job)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        assert log.startswith(b"x" * 99)
        assert log.endswith(b"end\n")
        assert re.search(rb"\n\.\.\. \d+ bytes left out \.\.\.\n", log)
        assert job.tail.endswith("end")
    assert _peak(worker) - before < OUTPUT
    worker.terminate()
    assert await exit_code(worker) == 0


CLOSES = 'for fd in /proc/$$/fd/*; do eval "exec ${fd##*/}>&-"; done; sleep 1; exit 4'
DEAF = "trap '' TERM HUP INT; while true; do sleep 0.1; done"
NOISE = "echo $$ > {pid}; while echo noise; do sleep 0.05; done"
DAEMON = f"(setsid bash -c '{NOISE}' &); until [ -s {{pid}} ]; do sleep 0.05; done"


@pytest.mark.parametrize("place", ["azurite"], indirect=True)
async def test_jobs_that_close_everything_hear_nothing_or_leave_a_writing_daemon_have_their_own_ends(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given such jobs among well ones, all in one worker
    pid = tmp_path / "pid"
    strange = [CLOSES, shell(DEAF, timeout=timedelta(seconds=1)), DAEMON.format(pid=pid)]
    ids = await push(realm, *strange, *["echo well"] * 12)

    worker = processes.worker(*LEASE, "--grace", "1s", "-n", "4", "--exit-when-empty")

    # Then each ends as it should, and nothing of the daemon is left
    assert await exit_code(worker) == 0
    closed, deaf, daemon, *well = await jobs(realm, ids)
    assert (closed.reason, closed.exit_code) == ("exit", 4)
    assert (deaf.reason, deaf.exit_code) == ("timeout", 137)
    assert (daemon.state, daemon.tail.split("\n")[0]) == (JobState.SUCCEEDED, "noise")
    assert {(job.state, job.tail) for job in well} == {(JobState.SUCCEEDED, "well")}
    assert {job.attempt for job in (closed, deaf, daemon, *well)} == {1}
    assert not is_alive(int(pid.read_text()))
    await assert_counts_equal_rows(realm)


def _empty(group: Path) -> None:
    """What is left of a test that has failed."""
    deadline = time.monotonic() + 30
    while pids := lines_of(group / "cgroup.procs"):
        assert time.monotonic() < deadline
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _peak(process: Process) -> int:
    """Bytes of memory that it has had at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


async def _all_ended(realm: Realm, ids: list[str]) -> bool:
    return all(job.state.is_final for job in await jobs(realm, ids))


async def _ended(realm: Realm, job_id: str) -> bool:
    return await _all_ended(realm, [job_id])
