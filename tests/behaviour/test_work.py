"""From a push to the ends of its jobs: what everybody sees, whatever the tickets travel through."""

from __future__ import annotations

from datetime import timedelta

from jobq.core.finish import finish, settle
from jobq.core.status import total
from jobq.model.job import JobState, Limits, Reason
from tests.behaviour.conftest import Stage
from tests.proof.actors import FAILED, OK, PREEMPTED, always
from tests.proof.world import assert_counts_equal_rows, new_job, outbox_rows

BACKOFF = timedelta(seconds=1.25)
"""The longest after a first failure."""


async def test_job_runs_once_and_its_ticket_goes(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", tags=("t",)), new_job("b-2"))
    worker = stage.worker()

    await stage.work(worker)
    await stage.work(worker)

    jobs = await assert_counts_equal_rows(stage.realm)
    assert [(job.state, job.attempt) for job in jobs.values()] == [(JobState.SUCCEEDED, 1)] * 2
    assert worker.started == {"b-1": 1, "b-2": 1}
    assert await stage.is_empty()
    assert (await total(stage.realm)).counts.succeeded == 2


async def test_failed_job_waits_for_its_backoff_runs_again_and_shows_nothing_of_the_failure(stage: Stage) -> None:
    # Given a job that fails once
    await stage.world.push(new_job("b-1", limits=Limits(retries=2)))
    worker = stage.worker()
    worker.outcome = always(FAILED)
    await stage.work(worker)
    waiting = await stage.world.job("b-1")
    assert (waiting.state, waiting.reason) == (JobState.QUEUED, Reason.EXIT)
    assert await stage.realm.queue("0").receive(1, lease=stage.lease) == []

    # When its backoff is over
    worker.outcome = always(OK)
    stage.pass_time(BACKOFF)
    await stage.work(worker)

    # Then
    job = await stage.world.job("b-1")
    assert (job.state, job.attempt, job.tries, job.reason, job.tail) == (
        JobState.SUCCEEDED,
        2,
        {Reason.EXIT: 1},
        None,
        "fine",
    )
    assert await stage.is_empty()


async def test_job_that_keeps_failing_ends_as_failed_with_its_last_lines(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", limits=Limits(retries=1), tags=("t",)))
    worker = stage.worker()
    worker.outcome = always(FAILED)

    for _ in range(2):
        await stage.work(worker)
        stage.pass_time(BACKOFF)

    jobs = await assert_counts_equal_rows(stage.realm)
    assert (jobs["b-1"].state, jobs["b-1"].tries, jobs["b-1"].tail) == (
        JobState.FAILED,
        {Reason.EXIT: 2},
        "not so fine",
    )
    assert await stage.is_empty()


async def test_preempted_job_is_there_at_once_and_has_used_up_nothing(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    worker = stage.worker()
    worker.outcome = always(PREEMPTED)
    await stage.work(worker)

    worker.outcome = always(OK)
    await stage.work(worker)

    job = await stage.world.job("b-1")
    assert (job.state, job.tries, job.failures) == (JobState.SUCCEEDED, {Reason.PREEMPTED: 1}, 0)


async def test_job_of_a_lost_worker_is_taken_over_and_the_loss_is_counted_once(stage: Stage) -> None:
    # Given a worker that holds a job, and loses its lease
    await stage.world.push(new_job("b-1"))
    first, second = stage.worker("first"), stage.worker("second")
    held = await stage.take(first)
    await stage.lose(held)

    # When another one runs it
    taken = await stage.take(second)
    assert await finish(first.realm, held, held.jobs[0], FAILED) is None
    await second.run(taken)
    await settle(held)

    # Then the first has said nothing
    job = (await assert_counts_equal_rows(stage.realm))["b-1"]
    assert (job.state, job.attempt, job.tries, job.worker) == (JobState.SUCCEEDED, 2, {Reason.LOST: 1}, "second")
    assert await stage.is_empty()


async def test_lease_that_is_renewed_keeps_the_job(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    worker, other = stage.worker(), stage.worker("other")
    held = await stage.take(worker)

    for _ in range(5):
        stage.pass_time(held.lease.delivery.lease / 2)
        await held.lease.renew()
        assert await other.realm.queue("0").receive(1, lease=stage.lease) == []
    await worker.run(held)

    job = await stage.world.job("b-1")
    assert (job.state, job.attempt, job.tries) == (JobState.SUCCEEDED, 1, {})
    assert await stage.is_empty()


async def test_job_that_kills_its_workers_ends_at_its_crash_limit(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", limits=Limits(crashes=2)))
    for n in range(3):
        await stage.lose(await stage.take(stage.worker(f"w{n}")))

    last = stage.worker("last")
    await stage.work(last)

    job = (await assert_counts_equal_rows(stage.realm))["b-1"]
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.LOST, {Reason.LOST: 3})
    assert not last.started
    assert await stage.is_empty()


async def test_job_in_two_lanes_runs_once(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", lanes=("0", "1")))
    worker = stage.worker()

    await stage.work(worker, lane="1")
    await stage.work(worker, lane="0")

    assert worker.started == {"b-1": 1}
    assert await stage.is_empty("0")
    assert await stage.is_empty("1")


async def test_ticket_that_comes_twice_runs_its_job_once(stage: Stage) -> None:
    # Given a ticket, and the same again
    await stage.world.push(new_job("b-1"))
    first, second = stage.worker("first"), stage.worker("second")
    delivery = await stage.receive(first)
    await stage.realm.queue("0").send([delivery.body])

    # When two workers have one each
    held = await first.take("0", delivery)
    assert held is not None
    assert await second.take("0", await stage.receive(second)) is None
    await first.run(held)

    # Then
    assert first.started == {"b-1": 1}
    assert await stage.is_empty()
    await assert_counts_equal_rows(stage.realm)


async def test_message_that_is_no_ticket_is_kept_byte_for_byte_after_three_deliveries(stage: Stage) -> None:
    body = "not a <ticket> & no JSON: é 🚀".encode()
    await stage.realm.queue("0").send([body])
    await stage.world.push(new_job("b-1"))
    worker = stage.worker()

    for n in range(4):
        await stage.work(worker)
        stage.pass_time(timedelta(seconds=n + 1))

    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.state for job in jobs.values()} == {JobState.SUCCEEDED, JobState.FAILED}
    [kept] = [job for job in jobs.values() if job.reason is Reason.UNDECODABLE]
    assert await stage.realm.stack.blobs.get(kept.payload_blob) == body
    assert await stage.is_empty()
    assert await outbox_rows(stage.realm) == 0
