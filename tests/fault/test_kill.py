"""Workers that die, stand still or starve in mid-job: nothing is lost, and one attempt's end is accepted."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.model.job import JobState
from tests.fault.processes import CORES, Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.stacks import Place
from tests.until import until
from tests.worker.running import jobs, push, states

LEASE = ("--visibility-timeout", "4s")
KILL_WORKER = "read -r _ _ _ worker _ < /proc/$PPID/stat; kill -9 $worker"
only_local = pytest.mark.parametrize("place", ["local"], indirect=True)


async def test_job_whose_worker_is_killed_is_taken_over_and_the_loss_counted_once(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    # Given a worker killed in mid-job
    ran = tmp_path / "ran"
    first = f"echo $JOBQ_ATTEMPT >> {ran}; [ $JOBQ_ATTEMPT -gt 1 ] || while [ -e {hold} ]; do sleep 0.1; done"
    ids = await push(realm, first)
    killed = processes.worker(*LEASE)
    await until(lambda: lines_of(ran) == ["1"])
    killed.kill()

    # When another one comes
    other = processes.worker(*LEASE)
    ids += await push(realm, *["true"] * 4, batch="c")
    await until(lambda: _all(realm, ids, "succeeded"))
    other.terminate()
    assert await exit_code(other) == 0

    # Then the job has run again, and all is counted
    done = await jobs(realm, ids)
    assert lines_of(ran) == ["1", "2"]
    assert [(job.attempt, job.tries) for job in done] == [(2, {"lost": 1}), *[(1, {})] * 4]
    assert (await realm.queue("0").look(0)).messages == 0
    await assert_counts_equal_rows(realm)


async def test_worker_that_stood_still_beyond_its_lease_cannot_report(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    # Given a worker that is stopped in mid-job, and its job, which fails before its lease is over
    ran = tmp_path / "ran"
    wait = f"while [ -e {hold} ]; do sleep 0.1; done; echo end >> {ran}; exit 1"
    ids = await push(realm, f"echo $JOBQ_ATTEMPT >> {ran}; [ $JOBQ_ATTEMPT -gt 1 ] || {{ {wait}; }}")
    stopped = processes.worker(*LEASE)
    await until(lambda: lines_of(ran) == ["1"])
    stopped.send_signal(signal.SIGSTOP)
    hold.unlink()
    await until(lambda: lines_of(ran) == ["1", "end"])

    # When another worker has finished the job, and the first goes on
    other = processes.worker(*LEASE)
    await until(lambda: _all(realm, ids, "succeeded"))
    before = await jobs(realm, ids)
    stopped.send_signal(signal.SIGCONT)
    stopped.terminate()
    assert await exit_code(stopped) == 0

    # Then nothing of the row has changed
    assert await jobs(realm, ids) == before
    assert (before[0].attempt, before[0].tries) == (2, {"lost": 1})
    await assert_counts_equal_rows(realm)
    other.terminate()
    assert await exit_code(other) == 0


@pytest.mark.slow
@pytest.mark.parametrize("place", ["azurite"], indirect=True)  # on Service Bus: test_service_bus.py, ten locks
async def test_hungry_job_longer_than_three_leases_runs_once(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a job that takes all cores, and two workers with short leases
    ran, busy = tmp_path / "ran", "timeout 14 bash -c 'while :; do :; done' &"
    ids = await push(realm, f"echo x >> {ran}; {busy * (CORES + 1)} wait; true")
    workers = [processes.worker(*LEASE) for _ in range(2)]

    # When it has run to its end
    await until(lambda: _all(realm, ids, "succeeded"))

    # Then it has run once
    (job,) = await jobs(realm, ids)
    assert (job.attempt, job.tries, lines_of(ran)) == (1, {}, ["x"])
    assert job.seconds > 12
    for worker in workers:
        worker.terminate()
    assert [await exit_code(worker) for worker in workers] == [0, 0]


@pytest.mark.slow
@only_local
@pytest.mark.parametrize("chunk", [8])
async def test_job_that_kills_its_worker_ends_as_lost_and_its_neighbours_succeed(
    realm: Realm, place: Place, processes: Processes, chunk: int
) -> None:
    # Given a job that kills the worker itself, in the midst of others, and workers that are started again
    commands = [*["echo well"] * 20, KILL_WORKER, *["echo well"] * 20]
    ids = await push(realm, *commands, chunk=chunk)
    options = ("-n", "2", "--visibility-timeout", "2s")
    async with asyncio.TaskGroup() as group:
        supervising = group.create_task(_supervise(processes, *options))

        # When all have ended
        await until(lambda: _ended(realm, ids))
        supervising.cancel()

    # Then the one has failed for that reason, at its crash limit
    killer = ids.pop(20)
    (job,) = await jobs(realm, [killer])
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, "lost", {"lost": 4})
    assert "crash limit" in job.message
    assert set(await states(realm, ids)) == {"succeeded"}
    await assert_counts_equal_rows(realm)


async def _supervise(processes: Processes, *options: str) -> None:
    while True:
        await exit_code(processes.worker(*options))


async def _all(realm: Realm, ids: list[str], state: str) -> bool:
    return set(await states(realm, ids)) == {state}


async def _ended(realm: Realm, ids: list[str]) -> bool:
    return not {"queued", "running"} & {*await states(realm, ids)}
