"""What the holder of a checkout says of its end: done, given back, or failed."""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from jobq.core.checkout_rows import forget_checkout, is_checked_out
from jobq.core.checkpoints import forget_checkpoint
from jobq.core.decide import after_attempt, given_back, untied
from jobq.core.operate import change
from jobq.core.payload import forget_blobs, store_result
from jobq.core.realm import Realm
from jobq.errors import BadInput, JobqError, LeaseLost, NotFound
from jobq.model.job import Job, JobState, Json, Outcome, Reason
from jobq.model.wire import MAX_RESULT_BYTES, checked_json

ACKED = frozenset({JobState.SUCCEEDED})
NACKED = frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED})
"""Where a job of the same token is when what is said now was said before: the answer was lost."""


async def ack(realm: Realm, job_id: str, token: str, *, result: Json = None, message: str = "") -> Job:
    """It succeeded. Raises LeaseLost, and BadInput for a result that cannot be stored."""
    if len(checked_json(result)) > MAX_RESULT_BYTES:
        raise BadInput(f"the result is larger than {MAX_RESULT_BYTES:,} bytes; put it in a file or blob")
    job = await _end(realm, job_id, token, Outcome(result=result, message=message), ACKED)
    if job.attempt > 1:
        with suppress(JobqError):  # it goes with the job, then
            await forget_checkpoint(realm, job)
    return job


async def nack(
    realm: Realm,
    job_id: str,
    token: str,
    *,
    failed: bool = False,
    exit_code: int | None = None,
    message: str = "",
    delay: timedelta | None = None,
) -> Job:
    """Put it back, to be taken by anybody; with `failed` its attempt has failed, and its retries decide.

    `delay` is in place of the job's own backoff. Raises LeaseLost.
    """
    outcome = Outcome(Reason.PREEMPTED, message=message or "given back")
    if failed:
        outcome = Outcome(Reason.EXIT, exit_code, message)
    return await _end(realm, job_id, token, outcome, NACKED, delay)


async def reject(realm: Realm, job: Job, why: str) -> None:
    """End a job that was checked out and cannot be handed out. Raises LeaseLost."""
    await _end(realm, job.id, job.claim, Outcome(Reason.UNDECODABLE, message=why), NACKED)


async def put_back(realm: Realm, job: Job) -> None:
    """As if it had not been checked out. Raises LeaseLost."""
    await forget_checkout(realm, job)
    await _change(realm, job.id, job.claim, NACKED, lambda row: given_back(row, realm.now()))


def held(job: Job | None, job_id: str, token: str, done: Container[JobState] = ()) -> Job:
    """The job, if it is checked out under the token, or was and is `done`. Raises LeaseLost."""
    if job is None:
        raise LeaseLost(f"job {job_id} is not yours: it is gone; nothing was changed")
    is_its_own = token != "" and job.claim == token
    if not is_its_own or not (is_checked_out(job) or job.state in done):
        now = "another one has it" if job.state is JobState.RUNNING else f"it is {job.state}"
        raise LeaseLost(f"job {job_id} is not yours any more: {now}; nothing was changed, check another job out")
    return job


async def _end(
    realm: Realm, job_id: str, token: str, outcome: Outcome, done: Container[JobState], delay: timedelta | None = None
) -> Job:
    """Record the outcome, once, and the job as it is then."""
    job = held(await realm.find(job_id), job_id, token, done)
    if job.state in done:
        return job
    await forget_checkout(realm, job)
    now, spread = realm.now(), realm.random.random()
    outcome = replace(outcome, seconds=(now - job.started_at).total_seconds() if job.started_at else 0.0)
    result_blob = await store_result(realm, job, outcome)

    def decide(row: Job) -> Job | None:
        after = after_attempt(row, outcome, now=now, spread=spread)
        if after and after.state is JobState.QUEUED and delay is not None:
            return replace(after, due_at=now + delay if delay else None)
        return replace(after, result_blob=result_blob) if after else None

    after = await _change(realm, job_id, token, done, decide)
    if after is None:
        await forget_blobs(realm, job)
    return after or job


async def _change(
    realm: Realm, job_id: str, token: str, done: Container[JobState], decide: Callable[[Job], Job | None]
) -> Job | None:
    """What `decide` makes of the job, unless that was done before; tickets of its new generation if it is queued.

    The message it was claimed from is gone, and its next ticket void.
    """

    def step(row: Job) -> Job | None:
        if held(row, job_id, token, done).state in done:
            return row
        after = decide(row)
        return untied(after) if after and after.state is JobState.QUEUED else after

    try:
        return await change(realm, job_id, step)
    except NotFound:
        held(None, job_id, token)
        raise
