"""The outbox: tickets that a transaction promised and that may not be in the queue yet.

Whatever raises a generation writes an outbox row in the same transaction, then sends the tickets, then deletes the row.
A crash in between leaves the row, and `repair` sends the tickets again: one too many is harmless, one too few is a lost
job. A ticket sent again carries no job, so whoever receives it reads the row.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobq.core.ports import NO_DELAY, Change, Row, create, delete
from jobq.core.realm import Realm, scan_all
from jobq.core.rows import partition
from jobq.core.transition import Unit
from jobq.errors import Conflict, JobqError, NotFound, Unreachable
from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Job
from jobq.model.names import SHARDS, key_part, shard_of
from jobq.model.ticket import encode_entry, encode_reference, encode_ticket

logger = logging.getLogger(__name__)

PREFIX = "outbox~"
PATIENCE = timedelta(seconds=20)
"""How long a sender is given before its outbox row is taken for abandoned. A wrong guess costs a ticket too many."""

Promise = tuple[str, tuple[tuple[str, int], ...]]
"""A ticket to be sent: its lane, and the id and generation of its jobs."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """An outbox row to be written; `key` names it until it is deleted."""

    key: str
    change: Change


def promise(
    realm: Realm, batch: str, promises: Sequence[Promise], *, due: datetime | None = None, by: str = ""
) -> Outbox:
    """The outbox row for tickets that will be sent, to be received at `due`; `by` names the push that sends them."""
    key = f"{PREFIX}{key_part(batch)}~{by}{realm.new_token()}"
    values = {"tickets": json.dumps(promises, separators=(",", ":")), "at": to_iso(realm.now())}
    return Outbox(key, create(key, values | ({"due": to_iso(due)} if due else {})))


def promises_of(jobs: Iterable[Job]) -> list[Promise]:
    """A ticket of its own in each of its lanes, for each job."""
    return [(lane, ((job.id, job.generation),)) for job in jobs for lane in job.spec.lanes]


async def send_jobs(
    realm: Realm, jobs: Sequence[Job], *, delay: timedelta = NO_DELAY, lanes: Sequence[str] | None = None
) -> None:
    """Tickets for queued jobs, as committed: one each, in each of their lanes (or in `lanes` only)."""
    for lane in sorted({lane for job in jobs for lane in job.spec.lanes} if lanes is None else lanes):
        queue = realm.queue(lane)
        bodies = [ticket_body(realm, [job], queue.limits.max_body_bytes) for job in jobs if lane in job.spec.lanes]
        await queue.send(bodies, delay=min(delay, queue.limits.max_delay))


def ticket_body(realm: Realm, jobs: Sequence[Job], max_bytes: int) -> bytes:
    """With all that a claim needs, or with references where that is too much for a message."""
    body = encode_ticket(realm.new_token(), [encode_for_ticket(job) for job in jobs])
    if len(body) <= max_bytes:
        return body
    return encode_ticket(realm.new_token(), [encode_reference(job.id, job.generation) for job in jobs])


def encode_for_ticket(job: Job) -> str:
    """A job that was tried before has more in its row than a ticket carries, so its row is read before the claim."""
    is_new = not job.payload_blob and not job.attempt
    return encode_entry(job) if is_new else encode_reference(job.id, job.generation)


async def deliver(realm: Realm, jobs: Sequence[Job], key: str, etag: str, *, delay: timedelta = NO_DELAY) -> None:
    """Send what an outbox row promises for jobs of one shard, as just committed, and delete the row.

    Where the queue does not answer the row is left, and `repair` sends the tickets.
    """
    try:
        await send_jobs(realm, jobs, delay=delay)
    except Unreachable as error:
        logger.info("left the tickets of outbox row %s to the next sweep: %s", key, error)
        return
    await forget(realm, shard_of(jobs[0].id), key, etag)


async def forget(realm: Realm, shard: int, key: str, etag: str) -> None:
    """Delete an outbox row whose tickets are sent. If that fails they are sent once more, which is harmless."""
    try:
        await realm.commit(Unit(shard, (delete(key, etag),), {}, {}))
    except JobqError as error:
        logger.debug("kept outbox row %s: %s", key, error)


async def repair(realm: Realm, shard: int, *, patience: timedelta = PATIENCE, but: str = "") -> int:
    """Send the tickets of outbox rows older than `patience` again; how many rows there were, younger ones included.

    Rows of the push that `but` names are left. Raises NotFound where a queue is missing, when all else is sent.
    """
    rows = await scan_all(realm, partition(realm.name, shard), PREFIX)
    missing: dict[str, NotFound] = {}
    for row in rows:
        is_own = bool(but) and row.key.rpartition("~")[2].startswith(but)
        if realm.now() - from_iso(str(row.values["at"])) >= patience and not is_own:
            await _send_again(realm, shard, row, missing)
    for error in missing.values():
        raise error
    return len(rows)


async def repair_all(realm: Realm, *, patience: timedelta = PATIENCE) -> int:
    """As `repair`, of all shards."""
    count, missing = 0, None
    for shard in range(SHARDS):
        try:
            count += await repair(realm, shard, patience=patience)
        except NotFound as error:
            missing = error
    if missing:
        raise missing
    return count


async def _send_again(realm: Realm, shard: int, row: Row, missing: dict[str, NotFound]) -> None:
    """All of a row's tickets; none where a lane's queue is missing, since they would be sent again every time."""
    due = str(row.values.get("due", ""))
    delay = max(NO_DELAY, from_iso(due) - realm.now()) if due else NO_DELAY
    tickets = json.loads(str(row.values["tickets"]))
    for lane, _ in tickets:
        if lane not in missing:
            try:
                await realm.queue(lane).open()
            except NotFound as error:
                missing[lane] = error
    if any(lane in missing for lane, _ in tickets):
        return
    count = 0
    for lane, jobs in tickets:
        queue = realm.queue(lane)
        body = encode_ticket(realm.new_token(), [encode_reference(job_id, generation) for job_id, generation in jobs])
        await queue.send([body], delay=min(delay, queue.limits.max_delay))
        count += 1
    try:
        await realm.commit(Unit(shard, (delete(row.key, row.etag),), {}, {}))
    except Conflict:
        return  # somebody else has sent and deleted it
    logger.warning("sent %d tickets of outbox row %s again", count, row.key)
