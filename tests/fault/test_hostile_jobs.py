"""Jobs that harm whatever is near them: never another job, the worker, or the lease."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.model.job import JobState
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import jobs, push, shell, states

pytestmark = pytest.mark.slow

LEASE = ("--visibility-timeout", "4s")
TREE = "echo $$ >> {pids}; (sleep 600; true) & echo $! >> {pids}; setsid sleep 600 & echo $! >> {pids}; wait"
"""A job, a child of its, and one that has left its group."""


@pytest.mark.parametrize("place", ["local", "azurite", "servicebus"], indirect=True)
@pytest.mark.parametrize("whole_group", [False, True])
async def test_job_does_not_outlive_a_worker_that_is_killed(
    realm: Realm, processes: Processes, tmp_path: Path, whole_group: bool
) -> None:
    # Given a worker in mid-job, in a process group of its own as a shell gives it
    pids = tmp_path / "pids"
    await push(realm, TREE.format(pids=pids))
    worker = processes.worker(*LEASE, before=["setsid"])
    await until(lambda: len(lines_of(pids)) == 3)

    # When it is killed, without a chance to do anything about it
    (os.killpg if whole_group else os.kill)(worker.pid, signal.SIGKILL)

    # Then nothing of the job goes on
    for pid in map(int, lines_of(pids)):
        await until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]


@pytest.mark.parametrize("place", ["local", "azurite", "servicebus"], indirect=True)
async def test_job_of_a_worker_that_stands_still_ends_with_its_lease(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a worker in mid-job
    pids = tmp_path / "pids"
    ids = await push(realm, f"[ $JOBQ_ATTEMPT -gt 1 ] || {{ {TREE.format(pids=pids)}; }}")
    stopped = processes.worker(*LEASE)
    await until(lambda: len(lines_of(pids)) == 3)

    # When it stands still, so that nobody renews the lease
    stopped.send_signal(signal.SIGSTOP)
    for pid in map(int, lines_of(pids)):
        await until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]

    # Then another one can run the job, alone; and the first, back again, goes on with others
    other = processes.worker(*LEASE, "--exit-when-empty")
    assert await exit_code(other) == 0
    assert await states(realm, ids) == ["succeeded"]
    stopped.send_signal(signal.SIGCONT)
    more = await push(realm, "true", batch="more")
    await until(lambda: _all_ended(realm, more))
    (job,) = await jobs(realm, ids)
    assert (job.attempt, job.tries) == (2, {"lost": 1})
    stopped.terminate()
    assert await exit_code(stopped) == 0
    await assert_counts_equal_rows(realm)


@pytest.mark.parametrize("place", ["azurite"], indirect=True)
async def test_jobs_that_kill_their_parent_cost_their_neighbours_nothing(realm: Realm, processes: Processes) -> None:
    # Given ten such jobs among forty, which all run in one worker
    well = "sleep 0.1; echo well > done; cat done"
    ids = await push(realm, *["kill -9 $PPID; exit 3" if n % 5 == 2 else well for n in range(50)])

    worker = processes.worker(*LEASE, "-n", "4", "--exit-when-empty")

    # Then each has its own end, at the first try
    assert await exit_code(worker) == 0
    done = await jobs(realm, ids)
    assert [job.exit_code for job in done] == [3 if n % 5 == 2 else 0 for n in range(50)]
    assert {job.attempt for job in done} == {1}
    assert {job.tail.partition("\n")[0] for job in done} == {"", "well"}  # twice, where it was just being started
    await assert_counts_equal_rows(realm)


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_full_disk_stops_neither_worker_nor_clean_up_and_fails_no_neighbour(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a worker with a small disk, and a job that fills it, and holds it full for a while
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=1m,nr_inodes=64 none "$0" && exec "$@"'
    full = "cat /dev/zero > zero; for i in {1..100}; do echo > $i; done; touch " + str(tmp_path / "full") + "; sleep 6"
    ids = await push(realm, shell(f"{full}; exit 5"))
    worker = processes.worker(
        *LEASE, "-n", "3", before=["env", f"TMPDIR={disk}", "unshare", "-rm", "sh", "-c", mount, str(disk)]
    )
    await until(lambda: (tmp_path / "full").exists())

    # When others come meanwhile
    ids += await push(realm, *["echo well > file; cat file"] * 10, batch="c")

    # Then the lease of the one was renewed, its directory removed, and the others run once there is room
    await until(lambda: _all_ended(realm, ids))
    done = await jobs(realm, ids)
    assert [(job.state, job.exit_code, job.attempt) for job in done[:1]] == [(JobState.FAILED, 5, 1)]
    assert {(job.state, job.tail, job.attempt, *job.tries) for job in done[1:]} == {(JobState.SUCCEEDED, "well", 1)}
    assert "this machine has no room to start a job" in processes.said(0)
    worker.terminate()
    assert await exit_code(worker) == 0
    await assert_counts_equal_rows(realm)


async def _all_ended(realm: Realm, ids: list[str]) -> bool:
    return all(job.state.is_final for job in await jobs(realm, ids))
