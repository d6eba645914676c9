"""A checkout's row among those of the workers: it makes the job count as running until its lease ends.

Such a row must not outlive its checkout while it is believed: the job would count as running for nothing, and one that
is queued be overlooked. So whoever ends the job removes the row first, and whoever takes the job over removes it then.
"""

from __future__ import annotations

import json

from jobq.core.realm import Realm
from jobq.core.rows import workers_partition
from jobq.core.workers import CHECKOUT, WorkerRow
from jobq.model.job import Job, JobState
from jobq.model.names import lane_order

LANE = "lane"
"""The label that says which lane the job was taken from."""


def is_checked_out(job: Job) -> bool:
    return job.state is JobState.RUNNING and job.worker.startswith(CHECKOUT)


def new_row(realm: Realm, job: Job, lane: str, *, etag: str = "") -> WorkerRow:
    return WorkerRow(realm, job.worker, slots=0, labels={LANE: lane}, etag=etag)


async def row_of(realm: Realm, job: Job) -> WorkerRow:
    """As it is now. Of one that is gone the lane is the job's lowest."""
    row = await realm.stack.table.get(workers_partition(realm.name), job.worker)
    labels = json.loads(str(row.values.get("named") or "{}")) if row else {}
    lane = str(labels.get(LANE) or min(job.spec.lanes, key=lane_order))
    return new_row(realm, job, lane, etag=row.etag if row else "")


async def forget_checkout(realm: Realm, job: Job) -> None:
    """Remove the row of a job that is checked out; any other job has none."""
    if is_checked_out(job):
        await (await row_of(realm, job)).leave()
