"""Command, arguments and environment of a large job, kept in a blob; and results that are large."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from jobq.core.checkpoints import checkpoint_blobs
from jobq.core.logs import log_key, times_key
from jobq.core.realm import Realm
from jobq.core.rows import INLINE_BYTES
from jobq.errors import BadInput, JobqError
from jobq.model.job import Job, Json, Outcome
from jobq.model.wire import dumps, env_from_json, loads_object, outputs_from_json

logger = logging.getLogger(__name__)


async def with_payload(realm: Realm, job: Job) -> Job:
    """The job with what is in its blob, if it has one. Raises BadInput if that is gone or cannot be decoded."""
    if not job.payload_blob or job.spec.command is not None or job.spec.kwargs is not None:
        return job
    data = await realm.stack.blobs.get(job.payload_blob)
    if data is None:
        raise BadInput(f"its payload, blob {job.payload_blob}, is gone")
    payload = loads_object(data)
    command, kwargs = payload.get("cmd"), payload.get("kwargs")
    if not isinstance(command, str) and not isinstance(kwargs, dict):
        raise BadInput("its payload has neither a command nor arguments")
    env, outputs = env_from_json(payload.get("env", {})), outputs_from_json(payload)
    spec = replace(job.spec, command=command, kwargs=kwargs, env=env, outputs=outputs)
    return replace(job, spec=spec)


async def forget_blobs(realm: Realm, job: Job) -> None:
    """Delete what is kept of a job whose row is gone: a large payload or result, its attempts' output, its checkpoint.

    A blob that cannot be deleted now is left: nothing refers to it any more.
    """
    keys = {key(realm.name, job.id, n) for n in range(1, job.attempt + 1) for key in (log_key, times_key)}
    keys |= {job.payload_blob, job.result_blob, job.log} - {""}
    try:
        keys.update(await checkpoint_blobs(realm, job))
    except JobqError as error:
        logger.warning("kept the checkpoint of a removed job, if it has one: %s", error)
    for key in sorted(keys):
        try:
            await realm.stack.blobs.delete(key)
        except JobqError as error:
            logger.warning("kept blob %s of a removed job: %s", key, error)


async def store_result(realm: Realm, job: Job, outcome: Outcome) -> str:
    """Key of the blob with the result, where it is too large for a row."""
    if outcome.result is None or len(text := dumps(outcome.result)) <= INLINE_BYTES:
        return ""
    key = f"result/{realm.name}/{job.claim}"
    await realm.stack.blobs.put(key, text.encode())
    return key


async def result_of(realm: Realm, job: Job) -> Json:
    """The job's result, from its blob where it is large."""
    if not job.result_blob:
        return job.result
    data = await realm.stack.blobs.get(job.result_blob)
    result: Json = json.loads(data) if data else None
    return result
