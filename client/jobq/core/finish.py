"""From the end of an attempt to the job's next state, and to its ticket's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from jobq.core import outbox
from jobq.core.claim import Held
from jobq.core.decide import after_attempt, given_back
from jobq.core.payload import forget_blobs, store_result
from jobq.core.ports import NO_DELAY
from jobq.core.realm import Realm
from jobq.core.transition import Unit, move
from jobq.errors import Conflict, LeaseLost, ReplyLost, Unreachable
from jobq.model.job import Job, JobState, Outcome

logger = logging.getLogger(__name__)


async def finish(realm: Realm, held: Held, job: Job, outcome: Outcome, *, patience: float = 0.0) -> Job | None:
    """Record how an attempt ended: the job as it is then, or None if it is gone or this worker was fenced off.

    With `patience` the record may wait so many seconds for others to go along with.
    Settles the job's ticket when it goes back to the queue; when it has ended, `settle` does that for all of a ticket.
    Raises Unreachable if the table does not answer: nothing is recorded then, and the ticket's lease runs out.
    """
    spread = realm.random.random()
    result_blob = await store_result(realm, job, outcome)

    def decide(job: Job) -> Job | None:
        after = after_attempt(job, outcome, now=realm.now(), spread=spread)
        return replace(after, result_blob=result_blob) if after else None

    return await _record(realm, held, job, decide, patience)


async def settle(held: Held) -> None:
    """Complete a ticket all of whose jobs are recorded. If that fails it comes back, and is dropped by its rows."""
    if held.lease.is_over:
        return
    try:
        await held.lease.complete()
    except (LeaseLost, Unreachable) as error:
        logger.info("did not complete ticket %s: %s", held.ticket.id, error)


async def give_back(realm: Realm, held: Held, jobs: Sequence[Job]) -> None:
    """Return claimed jobs that were not started: queued again, nothing counted, with a ticket each.

    Raises Unreachable if the table does not answer: then leave the ticket too, so that it comes back with what is left.
    """
    for job in jobs:
        await _record(realm, held, job, lambda job: given_back(job, realm.now()))


async def _record(
    realm: Realm, held: Held, job: Job, decide: Callable[[Job], Job | None], patience: float = 0.0
) -> Job | None:
    """Write what `decide` makes of a job this worker runs, again while only its row's etag has changed."""
    while True:
        after = decide(job)
        try:
            if after is not None and after.state is JobState.QUEUED:
                return await _put_back(realm, held, job, after)
            return await _write(realm, job, after, patience)
        except (Conflict, ReplyLost):
            row = await realm.find(job.id)
            if row is None or row.claim != job.claim:
                return None
            if row.state is not JobState.RUNNING:
                if row.state is JobState.QUEUED:
                    await _send_back(realm, held, row)
                return row
            job = row


async def _write(realm: Realm, job: Job, after: Job | None, patience: float) -> Job | None:
    etags = await realm.commit(move(job, after), patience=patience)
    if after is None:
        await forget_blobs(realm, job)
        return None
    return replace(after, etag=etags[0])


async def _put_back(realm: Realm, held: Held, job: Job, after: Job) -> Job:
    """The row with an outbox row, then the ticket, then the outbox row goes."""
    promised = outbox.promise(realm, job.batch, outbox.promises_of([after]), due=after.due_at)
    unit: Unit = move(job, after).also(promised.change)
    etags = await realm.commit(unit)
    after = replace(after, etag=etags[0])
    if await _send_back(realm, held, after):
        await outbox.forget(realm, unit.shard, promised.key, etags[-1])
    return after


async def _send_back(realm: Realm, held: Held, job: Job) -> bool:
    """Edit the ticket where it is the job's own, else send a new one; False if the outbox has to do it."""
    delay = max(NO_DELAY, job.due_at - realm.now()) if job.due_at else NO_DELAY
    try:
        if not held.ticket.is_chunk and not held.lease.is_over:
            await held.lease.release(
                outbox.ticket_body(realm, [job], held.lease.queue.limits.max_body_bytes), delay=delay
            )
            others = [lane for lane in job.spec.lanes if lane != held.lane]
            await outbox.send_jobs(realm, [job], delay=delay, lanes=others)
        else:
            await outbox.send_jobs(realm, [job], delay=delay)
    except (LeaseLost, Unreachable) as error:
        logger.info("left the ticket of job %s to the outbox: %s", job.id, error)
        return False
    return True
