"""What people do to jobs: cancel, remove, retry, move. Work on queued jobs that sit in a queue nobody can edit.

A queued job's row is changed, and its ticket finds that out. A running one is only asked: its worker (told through the
worker's row) or whoever takes it over ends it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from jobq.core import outbox
from jobq.core.checkout_rows import forget_checkout, is_checked_out
from jobq.core.payload import forget_blobs
from jobq.core.ports import MAX_CHANGES, NO_DELAY
from jobq.core.realm import Realm
from jobq.core.transition import move
from jobq.core.workers import EVERYTHING, tell
from jobq.errors import Conflict, IllegalTransition, NotFound, ReplyLost
from jobq.model.attempts import remembered
from jobq.model.job import Job, JobState, Reason

logger = logging.getLogger(__name__)


async def cancel(realm: Realm, job_id: str, *, message: str = "") -> Job:
    """End a queued job as cancelled, or ask that of a running one; a cancelled one stays as it is.

    Raises NotFound, and IllegalTransition for a job that has ended otherwise.
    """
    job = await change(realm, job_id, lambda job: cancelled(job, message, realm.now()))
    assert job is not None
    if job.state is JobState.RUNNING:
        await tell(realm, job.worker, cancel=job.id)
    return job


async def remove(realm: Realm, job_id: str) -> Job | None:
    """Delete a job with everything that is kept of it; None when it is gone, the job when its worker was asked.

    One that is checked out goes at once, whoever holds it. Raises NotFound.
    """
    before = seen = await realm.read(job_id)
    await forget_checkout(realm, before)

    def decide(job: Job) -> Job | None:
        nonlocal seen
        seen = job
        return removed(job)

    job = await change(realm, job_id, decide)
    if job is not None:
        await tell(realm, job.worker, cancel=job.id)
        return job
    if seen.worker != before.worker:
        await forget_checkout(realm, seen)
    await forget_blobs(realm, seen)
    return None


async def retry(realm: Realm, job_id: str) -> Job:
    """Queue a failed or cancelled job again, its failures forgotten. Raises NotFound, IllegalTransition."""
    job = await change(realm, job_id, lambda job: queue_again(job, realm.now()))
    assert job is not None
    return job


async def preempt(realm: Realm, job_id: str) -> Job:
    """Have a running job stopped and put back, as if its machine went. Raises NotFound, IllegalTransition."""
    job = await realm.read(job_id)
    if job.state is not JobState.RUNNING:
        raise IllegalTransition(f"job {job.id} is {job.state}; only running jobs can be preempted")
    if is_checked_out(job):
        raise IllegalTransition(
            f"job {job.id} is checked out, and its holder asks for no orders; it comes back when its lease ends, "
            "or remove it"
        )
    if not await tell(realm, job.worker, preempt=job.id):
        raise NotFound(f"worker {job.worker} of job {job.id} is gone; another one takes the job over soon")
    return job


async def preempt_worker(realm: Realm, worker: str) -> None:
    """Have a worker do all that it would do if its machine were to go. Raises NotFound."""
    await _tell_all(realm, worker, "preempt")


async def drain_worker(realm: Realm, worker: str) -> None:
    """Have a worker take nothing new, finish what it runs, and end. Raises NotFound."""
    await _tell_all(realm, worker, "drain")


async def _tell_all(realm: Realm, worker: str, command: str) -> None:
    if not await tell(realm, worker, **{command: EVERYTHING}):
        raise NotFound(f"there is no worker {worker} in {realm.address}; `jobq workers` lists them")


async def leave_lane(realm: Realm, job_id: str, lane: str) -> Job | None:
    """Take a queued job out of a lane: the job with a ticket in each lane that is left, or None when none was left.

    Raises NotFound, and IllegalTransition for a job that is not queued.
    """
    before = await realm.read(job_id)
    job = await change(realm, job_id, lambda job: _left(job, lane))
    if job is None:
        await forget_blobs(realm, before)
    return job


async def move_lane(realm: Realm, job_id: str, source: str, target: str) -> Job:
    """Put a queued job that is in `source` into `target` instead.

    Raises NotFound for a job that is not there, and for a queue that is missing and not made on demand;
    IllegalTransition for a job that is not queued, as one that is checked out, or not in `source`.
    """
    job = await change(realm, job_id, lambda job: _moved(job, source, target))
    assert job is not None
    return job


async def change(realm: Realm, job_id: str, decide: Callable[[Job], Job | None]) -> Job | None:
    """Apply `decide` to the row as it is, again if somebody else was faster. It returns the job unchanged to leave it.

    A step that raises the generation writes an outbox row and sends its tickets. Raises NotFound, and what `decide`
    raises.
    """
    unsure: tuple[Job, Job | None] | None = None
    while True:
        before = await realm.find(job_id)
        if unsure and _was_applied(*unsure, before):
            return before  # if it owes tickets, its outbox row does
        if before is None:
            raise NotFound(f"there is no job {job_id} in {realm.address}; `jobq jobs` lists what there is")
        wanted = decide(before)
        if wanted == before:
            return before
        try:
            return await _apply(realm, before, wanted)
        except Conflict:
            continue
        except ReplyLost:
            unsure = before, wanted


def cancelled(job: Job, message: str, now: datetime) -> Job:
    if job.state is JobState.RUNNING:
        return replace(job, cancel_requested=True)
    if job.state is JobState.QUEUED:
        why = message or "cancelled while queued"
        return job.moved_to(JobState.CANCELLED, reason=Reason.CANCELLED, message=why, ended_at=now, due_at=None)
    if job.state is JobState.CANCELLED:
        return job
    raise IllegalTransition(f"job {job.id} is {job.state}; only queued or running jobs can be cancelled")


def queue_again(job: Job, now: datetime) -> Job:
    """The job as new, one generation on. Its attempts are counted on, since each has a log under its number."""
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        raise IllegalTransition(f"job {job.id} is {job.state}; only failed or cancelled jobs can be retried")
    return Job(
        id=job.id,
        batch=job.batch,
        spec=job.spec,
        etag=job.etag,
        generation=job.generation + 1,
        push=job.push,
        attempt=job.attempt,
        past=remembered(job),
        payload_blob=job.payload_blob,
        pushed_at=job.pushed_at,
    )


def removed(job: Job) -> Job | None:
    is_asked = job.state is JobState.RUNNING and not is_checked_out(job)
    return replace(job, cancel_requested=True, remove_requested=True) if is_asked else None


def _left(job: Job, lane: str) -> Job | None:
    if job.state is not JobState.QUEUED:
        raise IllegalTransition(f"job {job.id} is {job.state}; only queued jobs can leave a lane")
    if lane not in job.spec.lanes:
        return job
    lanes = tuple(other for other in job.spec.lanes if other != lane)
    return in_lanes(job, lanes) if lanes else None


def _moved(job: Job, source: str, target: str) -> Job:
    if job.state is not JobState.QUEUED:
        raise IllegalTransition(f"job {job.id} is {job.state}; only queued jobs can be moved to another lane")
    if source not in job.spec.lanes:
        raise IllegalTransition(f"job {job.id} is not in lane {source}, but in {', '.join(job.spec.lanes)}")
    return in_lanes(job, [target if lane == source else lane for lane in job.spec.lanes])


def in_lanes(job: Job, lanes: Iterable[str]) -> Job:
    """A queued job in these lanes: one generation on, unless it was in them."""
    names = tuple(dict.fromkeys(lanes))
    if names == job.spec.lanes:
        return job
    # A ticket that was dropped in a lane is gone, so each lane gets a new one, and the old ones are void.
    spec, generation = replace(job.spec, lanes=names), job.generation + 1
    return replace(job, spec=spec, generation=generation, message_id="", delivery=0, next_ticket="")


def _was_applied(before: Job, wanted: Job | None, found: Job | None) -> bool:
    """Whether the step to `wanted`, whose reply was lost, was made. A worker may have gone on from there."""
    if wanted is None or found is None:
        return wanted is found
    is_raised = found.generation >= wanted.generation > before.generation and found.push == wanted.push
    return is_raised or replace(wanted, etag=found.etag) == found


async def _apply(realm: Realm, before: Job, after: Job | None) -> Job | None:
    unit = move(before, after)
    if len(unit.changes) + len(unit.counts) + 1 > MAX_CHANGES:  # as many tags go as come: they go first
        bare = await _apply(realm, before, replace(before, spec=replace(before.spec, tags=())))
        assert bare is not None
        before, unit = bare, move(bare, after)
    if after is None or after.generation == before.generation:
        etags = await realm.commit(unit)
        return replace(after, etag=etags[0]) if after else None
    await realm.open_lanes(after.spec.lanes)
    promised = outbox.promise(realm, after.batch, outbox.promises_of([after]), due=after.due_at)
    etags = await realm.commit(unit.also(promised.change))
    after = replace(after, etag=etags[0])
    delay = max(NO_DELAY, after.due_at - realm.now()) if after.due_at else NO_DELAY  # of a retry that waits
    await outbox.deliver(realm, [after], promised.key, etags[-1], delay=delay)
    return after
