"""A push that meets jobs that are there already: what becomes of them, by the push's `--if-exists`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from jobq.core import outbox
from jobq.core.checkpoints import forget_checkpoint
from jobq.core.operate import change, queue_again
from jobq.core.ports import NO_DELAY
from jobq.core.realm import Realm
from jobq.errors import IllegalTransition, NotFound
from jobq.model.job import IfExists, Job, JobState, Pushed, PushStatus
from jobq.model.names import shard_of

Pair = tuple[Job, Job]
"""The job as asked for, and as found."""


async def meet_existing(realm: Realm, pairs: Sequence[Pair], if_exists: IfExists) -> dict[str, Pushed]:
    """An answer for each. Tickets that an interrupted push owes to queued ones are sent first; not this push's own."""
    for shard in sorted({shard_of(found.id) for _, found in pairs if found.state is JobState.QUEUED}):
        with suppress(NotFound):  # of a lane whose queue is missing, another push's: those of this one are there
            await outbox.repair(realm, shard, patience=NO_DELAY, but=pairs[0][0].push)
    return {found.id: await _meet(realm, asked, found, if_exists) for asked, found in pairs}


async def _meet(realm: Realm, asked: Job, found: Job, if_exists: IfExists) -> Pushed:
    if found.push == asked.push:  # ours, and already on its way
        return Pushed(found.id, PushStatus.QUEUED, found.state)
    if if_exists is IfExists.ERROR:
        return Pushed(found.id, PushStatus.REFUSED, found.state, f"it exists and is {found.state}")
    if if_exists is IfExists.REPLACE:
        return await _replace(realm, asked, found)
    if if_exists is IfExists.RERUN_FAILED and found.state in (JobState.FAILED, JobState.CANCELLED):
        return await _rerun(realm, found)
    return Pushed(found.id, PushStatus.EXISTS, found.state)


async def _rerun(realm: Realm, found: Job) -> Pushed:
    try:
        await change(realm, found.id, lambda job: queue_again(job, realm.now()))
    except IllegalTransition:  # somebody else has queued it again
        now = await realm.find(found.id)
        return Pushed(found.id, PushStatus.EXISTS, now.state if now else found.state)
    except NotFound as error:
        return Pushed(found.id, PushStatus.REFUSED, found.state, str(error))
    return Pushed(found.id, PushStatus.QUEUED, JobState.QUEUED)


async def _replace(realm: Realm, asked: Job, found: Job) -> Pushed:
    def replaced(job: Job) -> Job:
        if job.state is JobState.RUNNING:
            raise IllegalTransition(f"job {job.id} is running; cancel it first, or push under another id")
        return replace(asked, etag=job.etag, generation=job.generation + 1, attempt=job.attempt)

    try:
        replaced(found)
        await forget_checkpoint(realm, found)
        await change(realm, found.id, replaced)
    except (IllegalTransition, NotFound) as error:
        return Pushed(found.id, PushStatus.REFUSED, found.state, str(error))
    return Pushed(found.id, PushStatus.QUEUED, JobState.QUEUED)
