"""What people do to jobs that are queued, running or ended, and what is made good after a crash."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.finish import finish, settle
from jobq.core.operate import cancel, leave_lane, remove, retry
from jobq.core.push import Push
from jobq.core.sweep import repair_orphans, sweep
from jobq.model.job import IfExists, JobState, Reason
from tests.behaviour.conftest import Stage
from tests.proof.actors import FAILED, OK, always
from tests.proof.scenarios import dead_push
from tests.proof.world import assert_counts_equal_rows, new_job, outbox_rows


async def test_cancelled_job_never_starts_and_its_ticket_is_dropped(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    await cancel(stage.realm, "b-1")
    worker = stage.worker()

    await stage.work(worker)

    assert not worker.started
    assert await stage.world.state("b-1") is JobState.CANCELLED
    assert await stage.is_empty()


async def test_cancelled_running_job_ends_as_cancelled_and_is_not_retried(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    worker = stage.worker()
    held = await stage.take(worker)

    await cancel(stage.realm, "b-1")
    await finish(worker.realm, held, held.jobs[0], FAILED)
    await settle(held)

    assert await stage.world.state("b-1") is JobState.CANCELLED
    assert await stage.is_empty()
    await assert_counts_equal_rows(stage.realm)


async def test_cancelled_job_whose_worker_was_lost_does_not_start_again(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    held = await stage.take(stage.worker("lost"))
    await cancel(stage.realm, "b-1")
    await stage.lose(held)
    worker = stage.worker()

    await stage.work(worker)

    assert not worker.started
    assert await stage.world.state("b-1") is JobState.CANCELLED
    assert await stage.is_empty()


@pytest.mark.parametrize("ended_by", ["failure", "cancel"])
async def test_retried_job_runs_again(stage: Stage, ended_by: str) -> None:
    # Given a job that has failed, or was cancelled and has its old ticket still
    await stage.world.push(new_job("b-1"))
    worker = stage.worker()
    if ended_by == "failure":
        worker.outcome = always(FAILED)
        await stage.work(worker)
    else:
        await cancel(stage.realm, "b-1")
    worker.outcome, before = always(OK), worker.started["b-1"]

    # When it is retried
    await retry(stage.realm, "b-1")
    while not await stage.is_empty():
        await stage.work(worker)

    # Then it has run once more
    job = await stage.world.job("b-1")
    assert (job.state, worker.started["b-1"] - before) == (JobState.SUCCEEDED, 1)
    await assert_counts_equal_rows(stage.realm)


async def test_job_removed_and_pushed_again_runs_once_though_it_has_two_tickets(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    await remove(stage.realm, "b-1")
    await stage.world.push(new_job("b-1", tags=("again",)))
    worker = stage.worker()

    await stage.work(worker)
    await stage.work(worker)

    assert worker.started == {"b-1": 1}
    assert await stage.is_empty()
    await assert_counts_equal_rows(stage.realm)


async def test_replaced_job_runs_what_it_was_replaced_by(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", command="old"))
    await stage.world.push(new_job("b-1", command="new"), if_exists=IfExists.REPLACE)
    worker = stage.worker()
    ran: list[str | None] = []
    worker.outcome = lambda job: ran.append(job.spec.command) or OK

    await stage.work(worker)
    await stage.work(worker)

    assert ran == ["new"]
    assert await stage.is_empty()


async def test_job_that_leaves_a_lane_runs_in_the_other(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", lanes=("0", "1")))
    await leave_lane(stage.realm, "b-1", "0")
    worker = stage.worker()

    await stage.work(worker, lane="0")
    assert not worker.started
    while not await stage.is_empty("1"):
        await stage.work(worker, lane="1")

    assert worker.started == {"b-1": 1}


@pytest.mark.parametrize("by", ["the sweeper", "the same push again"])
async def test_tickets_of_an_interrupted_push_are_sent_by(stage: Stage, by: str) -> None:
    # Given a push that died before it sent its tickets
    jobs = [new_job("b-1"), new_job("b-2", lanes=("1",))]
    await dead_push(stage.world, *jobs)
    assert await stage.is_empty()

    # When
    if by == "the sweeper":
        stage.pass_time(timedelta(minutes=1))
        await sweep(stage.realm)
    else:
        await Push(stage.world.process(), "b").run(jobs)

    # Then
    worker = stage.worker()
    await stage.work(worker, lane="0")
    await stage.work(worker, lane="1")
    assert worker.started == {"b-1": 1, "b-2": 1}
    assert await outbox_rows(stage.realm) == 0


async def test_jobs_of_a_queue_that_lost_its_messages_run_again(stage: Stage) -> None:
    # Given a queued job and a running one, and a queue that has lost the messages of both
    await stage.world.push(new_job("b-1"), new_job("b-2"))
    held = await stage.take(stage.worker("lost"))
    await held.lease.queue.complete(held.lease.delivery)
    other = await stage.receive(stage.worker())
    await stage.realm.queue("0").complete(other)
    assert await stage.is_empty()

    # When orphans are repaired
    assert await repair_orphans(stage.realm) == 2

    # Then both run
    worker = stage.worker()
    await stage.work(worker)
    await stage.work(worker)
    assert worker.started == {"b-1": 1, "b-2": 1}
    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
    assert Reason.LOST not in jobs["b-1"].tries
