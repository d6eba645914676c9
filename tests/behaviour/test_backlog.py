"""What waits, as a look at the tickets next in line shows it."""

from __future__ import annotations

from datetime import timedelta

from jobq.core.backlog import realm_backlog
from jobq.core.workers import WorkerRow
from tests.behaviour.conftest import Stage
from tests.proof.world import new_job

HOUR = timedelta(hours=1)


async def run_one(stage: Stage, name: str) -> None:
    """A worker runs the next job, and says so."""
    worker = stage.worker(name)
    held = await stage.take(worker)
    await WorkerRow(worker.realm, name, 1).beat(held.jobs, believe=HOUR)


async def test_job_that_waits_is_seen_past_those_that_run_until_it_runs_too(stage: Stage) -> None:
    await stage.world.push(*(new_job(f"b-{n}") for n in range(3)))
    await run_one(stage, "first")
    await run_one(stage, "second")
    stage.pass_time(timedelta(seconds=1))

    before = (await realm_backlog(stage.realm)).oldest
    await run_one(stage, "third")
    after = (await realm_backlog(stage.realm)).oldest

    assert list(before) == ["0"]
    assert timedelta(0) <= before["0"] < timedelta(minutes=1)
    assert after == {}
