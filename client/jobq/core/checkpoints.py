"""Where a job's checkpoint is among the blobs of its realm: what a worker looks for, and a removal deletes."""

from __future__ import annotations

from jobq.core.realm import Realm
from jobq.model.job import Job
from jobq.model.names import path_part

MANIFEST = "manifest"
"""Ends the key of the blob that names the others of a saved state."""


def checkpoint_key(realm: str, job_id: str) -> str:
    """What the keys of all attempts' blobs begin with, before a slash."""
    return f"checkpoint/{realm}/{path_part(job_id)}"


async def checkpoint_blobs(realm: Realm, job: Job) -> list[str]:
    """All that earlier attempts have saved. Asks only where there was one."""
    return await realm.stack.blobs.list(f"{checkpoint_key(realm.name, job.id)}/") if job.attempt else []


async def has_checkpoint(realm: Realm, job: Job) -> bool:
    """Whether there is something to begin this attempt with."""
    return job.attempt > 1 and bool(await checkpoint_blobs(realm, job))


async def forget_checkpoint(realm: Realm, job: Job) -> None:
    """Before another job takes this one's name."""
    for key in await checkpoint_blobs(realm, job):
        await realm.stack.blobs.delete(key)
