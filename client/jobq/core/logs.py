"""An attempt's output: one blob per attempt that wrote something."""

from __future__ import annotations

from jobq.core.realm import Realm
from jobq.errors import NotFound
from jobq.model.job import Job
from jobq.model.names import path_part


def log_key(realm: str, job_id: str, attempt: int) -> str:
    return f"log/{realm}/{path_part(job_id)}/{attempt:04d}"


async def read_log(realm: Realm, job: Job, *, attempt: int | None = None, start: int = 0) -> bytes:
    """The output of an attempt (the last by default) from a byte on; b"" where there is none yet.

    Raises NotFound for an attempt that was never started.
    """
    if attempt is not None and not 1 <= attempt <= job.attempt:
        raise NotFound(f"job {job.id} has no attempt {attempt}; it has started {job.attempt}")
    key = log_key(realm.name, job.id, attempt) if attempt is not None else job.log
    key = key or log_key(realm.name, job.id, job.attempt)
    return await realm.stack.blobs.get(key, start=start) or b""
