"""Jobs that share a ticket."""

from __future__ import annotations

from jobq.model.job import JobState, Limits, Reason
from tests.behaviour.conftest import Stage
from tests.proof.actors import FAILED, OK, always
from tests.proof.scenarios import ONE_SHARD
from tests.proof.world import assert_counts_equal_rows, new_job, outbox_rows

CHUNK = [f"b-{number}" for number in ONE_SHARD]


async def push(stage: Stage, *, retries: int = 0) -> None:
    await stage.world.push(*(new_job(job_id, limits=Limits(retries=retries), tags=("t",)) for job_id in CHUNK), chunk=3)


async def test_chunk_runs_under_one_ticket(stage: Stage) -> None:
    await push(stage)
    worker = stage.worker()

    await stage.work(worker)

    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
    assert worker.started == dict.fromkeys(CHUNK, 1)
    assert await stage.is_empty()


async def test_chunk_of_a_lost_worker_is_split_and_nobodys_loss_is_counted(stage: Stage) -> None:
    # Given a worker that is lost with a chunk
    await push(stage)
    await stage.lose(await stage.take(stage.worker("lost")))

    # When another one receives it, and what has become of it
    worker = stage.worker()
    assert await worker.take("0", await stage.receive(worker)) is None
    for _ in CHUNK:
        await stage.work(worker)

    # Then
    jobs = await assert_counts_equal_rows(stage.realm)
    assert {(job.state, job.attempt, Reason.LOST in job.tries) for job in jobs.values()} == {
        (JobState.SUCCEEDED, 2, False)
    }
    assert await stage.is_empty()
    assert await outbox_rows(stage.realm) == 0


async def test_what_is_not_started_of_a_chunk_goes_back_as_if_it_had_not_been_claimed(stage: Stage) -> None:
    await push(stage)
    worker, other = stage.worker(), stage.worker("other")
    worker.starts_at_most = 1

    await stage.work(worker)
    for _ in CHUNK[1:]:
        await stage.work(other)

    jobs = await assert_counts_equal_rows(stage.realm)
    assert {(job.state, job.attempt) for job in jobs.values()} == {(JobState.SUCCEEDED, 1)}
    assert worker.started + other.started == dict.fromkeys(CHUNK, 1)
    assert await stage.is_empty()


async def test_failed_job_of_a_chunk_gets_a_ticket_of_its_own(stage: Stage) -> None:
    # Given a chunk, one of whose jobs fails
    await push(stage, retries=1)
    worker = stage.worker()
    worker.outcome = lambda job: FAILED if job.id == CHUNK[1] and job.attempt == 1 else OK
    await stage.work(worker)

    # When its backoff is over
    job = await stage.world.job(CHUNK[1])
    assert job.due_at is not None
    stage.pass_time(job.due_at - stage.world.clock.now())
    worker.outcome = always(OK)
    await stage.work(worker)

    # Then it alone has run again
    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED}
    assert worker.started == {CHUNK[0]: 1, CHUNK[1]: 2, CHUNK[2]: 1}
    assert await stage.is_empty()
