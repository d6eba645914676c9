"""A push that meets jobs that are there already: what becomes of them, by the push's `--if-exists`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from jobq.core import outbox
from jobq.core.checkpoints import forget_checkpoint
from jobq.core.operate import change, in_lanes, queue_again
from jobq.core.payload import with_payload
from jobq.core.ports import NO_DELAY
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.errors import BadInput, IllegalTransition, JobqError, NotFound
from jobq.model.job import IfExists, Job, JobState, Pushed, PushStatus
from jobq.model.names import MAX_LANES, MAX_TAGS, shard_of
from jobq.model.wire import sameness

AT_ONCE = 64
"""Jobs looked after at the same time; their commits go out together, shard by shard."""

Pair = tuple[Job, Job]
"""The job as asked for, and as found."""


async def meet_existing(realm: Realm, pairs: Sequence[Pair], if_exists: IfExists) -> dict[str, Pushed]:
    """An answer for each. Tickets that an interrupted push owes to queued ones are sent first; not this push's own."""
    for shard in sorted({shard_of(found.id) for _, found in pairs if found.state is JobState.QUEUED}):
        with suppress(NotFound):  # of a lane whose queue is missing, another push's: those of this one are there
            await outbox.repair(realm, shard, patience=NO_DELAY, but=pairs[0][0].push)
    answers: list[Pushed] = []
    for start in range(0, len(pairs), AT_ONCE):
        answers += await together(_meet(realm, *pair, if_exists) for pair in pairs[start : start + AT_ONCE])
    return {answer.id: answer for answer in answers}


async def _meet(realm: Realm, asked: Job, found: Job, if_exists: IfExists) -> Pushed:
    if found.push == asked.push:  # ours, and already on its way
        return Pushed(found.id, PushStatus.QUEUED, found.state)
    if if_exists is IfExists.ERROR:
        return _refused(found, f"it exists and is {found.state}")
    if if_exists is IfExists.REPLACE:
        return await _replace(realm, asked, found)
    if if_exists is IfExists.ADD:
        answer = await _add(realm, asked, found)
        if answer.status is not PushStatus.QUEUED:
            await _forget(realm, asked.payload_blob)
        return answer
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
        return _refused(found, str(error))
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
        return _refused(found, str(error))
    return Pushed(found.id, PushStatus.QUEUED, JobState.QUEUED)


async def _add(realm: Realm, asked: Job, found: Job) -> Pushed:
    """The tags and lanes to the job that is there; where it has ended, the job anew, with its tags too."""

    def added(job: Job) -> Job:
        if (job.payload_blob, job.spec.command, job.spec.kwargs) != compared:
            raise IllegalTransition("it was replaced at this moment; add it again")
        return _with_more(asked, job)

    compared = found.payload_blob, found.spec.command, found.spec.kwargs
    try:
        if sameness(asked.spec) != sameness((await with_payload(realm, found)).spec):
            return _refused(found, _CONFLICT.format(found.id))
    except BadInput as error:  # its payload is gone, or is no payload
        return _refused(found, f"it exists and cannot be compared: {error}")
    try:
        if found.state.is_final:
            await forget_checkpoint(realm, found)
        job = await change(realm, found.id, added)
    except (IllegalTransition, NotFound) as error:
        return _refused(found, str(error))
    assert job is not None
    if job.push != asked.push:
        return Pushed(job.id, PushStatus.EXISTS, job.state)
    await _forget(realm, found.payload_blob, found.result_blob)
    return Pushed(job.id, PushStatus.QUEUED, job.state)


_CONFLICT = (
    "conflict: job {} is there with other data (command or arguments, environment, files, outputs); "
    "add this under another id, or remove that one first"
)


def _refused(found: Job, why: str) -> Pushed:
    return Pushed(found.id, PushStatus.REFUSED, found.state, why)


async def _forget(realm: Realm, *keys: str) -> None:
    """Blobs that no row names. One that cannot be deleted now is left."""
    for key in filter(None, keys):
        with suppress(JobqError):
            await realm.stack.blobs.delete(key)


def _with_more(asked: Job, job: Job) -> Job:
    """The job that is there, with what was asked for beside it. Raises IllegalTransition where that cannot be."""
    tags = tuple(dict.fromkeys((*job.spec.tags, *asked.spec.tags)))
    lanes = tuple(dict.fromkeys((*job.spec.lanes, *asked.spec.lanes)))
    if len(tags) > MAX_TAGS:
        raise IllegalTransition(f"{len(tags)} tags are too many, with those it has: a job has at most {MAX_TAGS}")
    if job.state.is_final:
        spec = replace(asked.spec, tags=tags)
        return replace(asked, spec=spec, etag=job.etag, generation=job.generation + 1, attempt=job.attempt)
    if len(lanes) > MAX_LANES:
        raise IllegalTransition(f"{len(lanes)} lanes are too many, with those it has: a job has at most {MAX_LANES}")
    if job.remove_requested:
        raise IllegalTransition(f"job {job.id} is being removed; add it again when its worker has stopped it")
    tagged = replace(job, spec=replace(job.spec, tags=tags))
    if job.state is JobState.QUEUED:
        return in_lanes(tagged, lanes)
    if lanes != job.spec.lanes:
        raise IllegalTransition(f"job {job.id} is running; its lanes stay as they are until it has ended")
    return tagged
