"""Keeping a realm in order: outbox repair, folding of counters, rows of dead workers, the broker's dead letters.

A timer does it, `jobq sweep` does it, and every worker does it, at most once a minute under a lease row.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.dead_letters import read_dead_letters
from jobq.core.decide import lost_attempt
from jobq.core.erase import erase, is_being_deleted
from jobq.core.history import record
from jobq.core.listing import Filter, each_job
from jobq.core.operate import change
from jobq.core.outbox import PATIENCE, repair_all
from jobq.core.ports import MAX_CHANGES, Change, Row, Value, create, delete, merge
from jobq.core.realm import Realm
from jobq.core.rows import count_key, counts_of, label_of, named_since, partition, values_of_counts
from jobq.core.together import together
from jobq.core.workers import forget_dead, worker_rows
from jobq.errors import Conflict, NotFound, ReplyLost
from jobq.model.counts import Counts
from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Job, JobState

logger = logging.getLogger(__name__)

INTERVAL = timedelta(seconds=55)
"""Of one sweep's lease: a little less than the timer's minute, which may come early."""
FOLD_AFTER = timedelta(minutes=15)
"""A counter row is folded this long after its last change. Its writer, if it lives, finds that out and starts anew."""

FOLDED = "folded"


@dataclass(frozen=True, slots=True)
class Swept:
    outbox_rows: int = 0
    folded: int = 0
    dead_workers: int = 0
    dead_letters: int = 0
    repaired: int = 0
    is_deleting: bool = False
    """There is more to remove of a realm that was deleted, or it is not time yet for all of it."""
    has_moved: bool = field(default=False, compare=False)
    """Its jobs or workers are not where the last sweep saw them."""

    @property
    def is_clean(self) -> bool:
        return self == Swept()


async def sweep(realm: Realm, *, patience: timedelta = PATIENCE) -> Swept:
    """Safe to run at any time, by any number at once. Of a realm that is being deleted a part is removed instead.

    Raises NotFound where a lane's queue is missing, when all else is done.
    """
    if await is_being_deleted(realm):
        return Swept(is_deleting=not await erase(realm))
    counters = await together(realm.shard_scans("count~"))
    folded = sum([await _fold_shard(realm, shard, rows) for shard, rows in enumerate(counters)])
    workers = await worker_rows(realm)
    has_moved = await record(realm, counters, workers)
    gone, letters = await forget_dead(realm, workers), await read_dead_letters(realm)
    rows = await repair_all(realm, patience=patience)
    return Swept(outbox_rows=rows, folded=folded, dead_workers=gone, dead_letters=letters, has_moved=has_moved)


async def sweep_if_due(realm: Realm, holder: str) -> Swept | None:
    """Sweep unless somebody did so within the last minute."""
    where = f"{realm.name}~sweep"
    row = await realm.stack.table.get(where, "lease")
    now = realm.now()
    if row is not None and from_iso(str(row.values["until"])) > now:
        return None
    values: dict[str, Value] = {"holder": holder, "until": to_iso(now + INTERVAL)}
    taken = merge("lease", values, row.etag) if row else create("lease", values)
    try:
        await realm.stack.table.commit(where, [taken])
    except (Conflict, ReplyLost):
        return None
    return await sweep(realm)


async def repair_orphans(realm: Realm) -> int:
    """Queue again what has no worker and may have no ticket: for queues that lost messages. Returns how many.

    Reads every job. A queued job may have a good ticket; it gets another one, and the old one is dropped.
    """
    if await is_being_deleted(realm):
        return 0
    # What has not ended and no worker holds is what is listed as queued: in one pass, so that none slips through.
    return sum([await _queue_orphan(realm, job) async for job in each_job(realm, Filter(state=JobState.QUEUED))])


async def _queue_orphan(realm: Realm, seen: Job) -> bool:
    def decide(job: Job) -> Job:
        if job.etag != seen.etag:
            return job  # it moved on, so somebody has it
        return job.moved_to(
            JobState.QUEUED,
            generation=job.generation + 1,
            past=lost_attempt(job, realm.now()),
            claim="",
            message_id="",
            delivery=0,
            next_ticket="",
            worker="",
        )

    try:
        return await change(realm, seen.id, decide) != seen
    except NotFound:
        return False


async def _fold_shard(realm: Realm, shard: int, counters: list[Row]) -> int:
    """Add up counter rows that nobody has written for a while, label by label; how many went."""
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in counters:
        by_label[label_of(row.key)].append(row)
    folded = 0
    for label, rows in by_label.items():
        old = [row for row in rows if _is_old(row, realm.now())]
        if old:
            folded += await _fold(realm, shard, label, rows, old[: MAX_CHANGES - 1])
    return folded


async def _fold(realm: Realm, shard: int, label: str, rows: list[Row], old: list[Row]) -> int:
    key = count_key(label, FOLDED)
    base = next((row for row in rows if row.key == key), None)
    counts = sum(map(counts_of, old), counts_of(base) if base else Counts())
    name = next((str(row.values["name"]) for row in rows if row.values.get("name")), "")
    since = min((str(row.values["since"]) for row in rows if row.values.get("since")), default="")
    values = values_of_counts(counts, realm.now()) | named_since(name, since)
    changes: list[Change] = [delete(row.key, row.etag) for row in old]
    if counts != Counts():
        changes.append(merge(key, values, base.etag) if base else create(key, values))
    elif base:  # nothing is left to say, as of an error whose jobs have all been tried again
        changes.append(delete(key, base.etag))
    try:
        await realm.stack.table.commit(partition(realm.name, shard), changes)
    except (Conflict, ReplyLost) as error:
        logger.debug("left counters of %s in shard %d: %s", label, shard, error)
        return 0
    return len(old)


def _is_old(row: Row, now: datetime) -> bool:
    return not row.key.endswith(f"~{FOLDED}") and from_iso(str(row.values["at"])) + FOLD_AFTER < now
