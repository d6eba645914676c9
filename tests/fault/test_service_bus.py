"""Real workers on a broker that restarts, and on locks far shorter than their jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.model.job import JobState
from tests.broker import Broker, QueueSpec
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows, outbox_rows
from tests.service_bus import ANY_QUEUE
from tests.until import until
from tests.worker.running import jobs, push, states

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("place", ["servicebus"], indirect=True)]

LOCK = timedelta(seconds=2)
JOBS = 500


@pytest.fixture
def queues() -> QueueSpec:
    return replace(ANY_QUEUE, lock=LOCK)


async def test_job_that_outlives_ten_locks_runs_once(realm: Realm, processes: Processes, tmp_path: Path) -> None:
    # Given a job of ten locks and more, and two workers
    ran = tmp_path / "ran"
    seconds = 10 * LOCK.total_seconds() + 2
    ids = await push(realm, f"echo $JOBQ_ATTEMPT >> {ran}; sleep {seconds}")
    workers = [processes.worker() for _ in range(2)]

    # When it has ended
    await until(lambda: lines_of(ran))
    await until(lambda: _ended(realm, ids))

    # Then nobody else has had it, and its ticket is gone
    (job,) = await jobs(realm, ids)
    assert (job.state, job.attempt, job.tries, lines_of(ran)) == (JobState.SUCCEEDED, 1, {}, ["1"])
    assert job.seconds >= seconds
    for worker in workers:
        worker.terminate()
    assert [await exit_code(worker) for worker in workers] == [0, 0]
    assert (await realm.queue("0").look(0)).messages == 0


async def test_broker_that_restarts_in_the_midst_of_many_jobs_loses_none(
    realm: Realm, processes: Processes, broker: Broker, tmp_path: Path
) -> None:
    # Given many jobs that note each of their attempts, and two workers on them
    ran = tmp_path / "ran"
    ids = await push(realm, *[f"echo $JOBQ_JOB_ID/$JOBQ_ATTEMPT >> {ran}"] * JOBS)
    workers = [processes.worker("-n", "4", "-q") for _ in range(2)]

    # When the broker restarts, twice, and all connections break in between
    for done in (JOBS // 5, JOBS // 2):
        await until(lambda done=done: len(lines_of(ran)) >= done)  # type: ignore[misc]  # bound now
        await broker.stop_listening()
        await asyncio.sleep(1.5)  # that is how long it is down
        await broker.listen_again()
        await until(lambda done=done: len(lines_of(ran)) >= done + JOBS // 10)  # type: ignore[misc]  # bound now
        await broker.drop_connections()
    await until(lambda: _ended(realm, ids), poll_seconds=0.5)  # the broker runs in this process

    # Then every job has ended well; no attempt was run twice, and none that was not counted
    rows = await assert_counts_equal_rows(realm)
    assert {job.state for job in rows.values()} == {JobState.SUCCEEDED}
    assert len(rows) == JOBS
    attempts = lines_of(ran)
    assert len(attempts) == len(set(attempts))
    assert {line.split("/")[0] for line in attempts} == rows.keys()
    assert all(int(line.split("/")[1]) <= rows[line.split("/")[0]].attempt for line in attempts)
    for worker in workers:
        worker.terminate()
    assert [await exit_code(worker) for worker in workers] == [0, 0]
    assert await outbox_rows(realm) == 0


async def _ended(realm: Realm, ids: list[str]) -> bool:
    return not {"queued", "running"} & {*await states(realm, ids)}
