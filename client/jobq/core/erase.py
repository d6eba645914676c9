"""Deleting a realm: its rows, tickets and blobs, in the background, by whoever comes next if that is interrupted.

The realm's row is marked first, and goes last. Until it goes the realm is closed: nothing is pushed or taken, and what
processes write that have not noticed yet is removed by the next look. Whoever removes may be slow: what it removes it
has looked up while the row had its mark, so it is of the old realm, and goes only as it was then.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from jobq.core.ports import MAX_CHANGES, Delivery, Row, TicketQueue, delete, merge
from jobq.core.realm import CLOSED_FOR, Realm, closed_at, is_closed, lanes_in, scan_all
from jobq.core.rows import REALMS, history_partition, partition, workers_partition
from jobq.core.together import together
from jobq.core.workers import live_workers, tell
from jobq.errors import Conflict, LeaseLost, NotAllowed, NotFound, RealmClosed, ReplyLost
from jobq.model.durations import to_iso
from jobq.model.names import SHARDS, queue_name

logger = logging.getLogger(__name__)

ROUNDS = 10
"""Of one `erase`. Each removes up to 1,000 rows a shard, or MOST_TICKETS a lane, or MOST_BLOBS."""
MOST_TICKETS = 1000
MOST_BLOBS = 2000
AT_ONCE = 16
LEASE = timedelta(minutes=5)
"""Of a ticket that is about to be removed."""
STOPPED_WITHIN = timedelta(hours=1)
"""After this, a worker that says it still runs a job of the realm holds up nothing any more: it may be long dead."""
BLOBS = ("payload", "result", "log", "checkpoint", "file")
"""What the keys of a realm's blobs begin with, before its name."""

T = TypeVar("T")

Removal = Callable[[], Coroutine[Any, Any, None]]


async def delete_realm(realm: Realm) -> None:
    """Close the realm for good and for everybody: from now on nothing is pushed or taken. Raises NotFound.

    Processes that have just read its row notice within LOOK_AGAIN. A realm that is closed already stays so.
    """
    while True:
        row = await realm.row()
        if row is None:
            raise NotFound(f"there is no realm {realm.address}; `jobq list` says which there are")
        realm.look_again()
        if is_closed(row):
            return
        try:
            await realm.stack.table.commit(REALMS, [merge(realm.name, {"deleting": to_iso(realm.now())}, row.etag)])
        except (Conflict, ReplyLost):
            continue
        logger.info("closed realm %s: it is being deleted", realm.name)
        return


async def erase(realm: Realm) -> bool:
    """Remove what is left of a realm that was deleted; whether all of it is gone, the realm's own row included.

    That row goes last, and not before other processes have noticed that the realm is closed: until then what they
    still write is removed by the next call. What runs is stopped first. Bounded: a large realm takes several calls.
    It costs a read for 1,000 rows and a transaction for 100 of them, a transaction for each ticket and each blob, and
    some 20 reads to find that nothing is left.
    """
    row = await realm.row()
    if row is None or not is_closed(row):
        return True
    await _stop_jobs(realm)
    for _ in range(ROUNDS):
        removals = await _rows(realm) or await _tickets(realm, row) or await _blobs(realm)
        if not removals:
            return await _end(realm, row)
        if not await _is_still(realm, row):
            return True
        await together(removal() for removal in removals)
    return False


async def once_open(realm: Realm, act: Callable[[], Awaitable[T]]) -> T:
    """What `act` gives, which may be a realm's first use: one whose deletion can end now is erased before.

    Raises RealmClosed where that takes longer.
    """
    while True:
        try:
            return await act()
        except RealmClosed:
            if not await erase(realm):
                raise


async def is_being_deleted(realm: Realm) -> bool:
    """One read."""
    row = await realm.row()
    return row is not None and is_closed(row)


async def _stop_jobs(realm: Realm) -> bool:
    """Ask the workers to end what they run of it; whether there is any."""
    running = [(worker.id, job_id) for worker in await live_workers(realm) for job_id in worker.running]
    for worker_id, job_id in running:
        await tell(realm, worker_id, cancel=job_id)
    return bool(running)


async def _is_still(realm: Realm, row: Row) -> bool:
    """Whether this deletion goes on. If so, all that was seen before is to be removed, however late."""
    now = await realm.row()
    return now is not None and now.values.get("deleting") == row.values["deleting"]


async def _end(realm: Realm, row: Row) -> bool:
    """Remove the realm's own row, if it is time; before it those of workers: one that lives writes its own again."""
    age = realm.now() - closed_at(row)
    if age < CLOSED_FOR or (age < STOPPED_WITHIN and await _stop_jobs(realm)):
        return False
    for place in (workers_partition(realm.name), history_partition(realm.name), f"{realm.name}~sweep"):
        await _delete_rows(realm, place, await scan_all(realm, place, ""))
    try:
        await realm.stack.table.commit(REALMS, [delete(realm.name, row.etag)])
    except (Conflict, ReplyLost):
        return not await _is_still(realm, row)
    logger.info("erased realm %s", realm.name)
    return True


async def _rows(realm: Realm) -> list[Removal]:
    """What removes the first rows of each shard: jobs, index rows, counters, the outbox."""
    places = [partition(realm.name, shard) for shard in range(SHARDS)]
    pages = await together(realm.stack.table.scan(place, "", columns=("id",)) for place in places)
    return [partial(_delete_rows, realm, place, page) for place, page in zip(places, pages, strict=True) if page]


async def _delete_rows(realm: Realm, place: str, rows: Sequence[Row]) -> None:
    """Those that have not changed meanwhile."""
    for start in range(0, len(rows), MAX_CHANGES):
        changes = [delete(row.key, row.etag) for row in rows[start : start + MAX_CHANGES]]
        while changes:
            try:
                await realm.stack.table.commit(place, changes)
            except Conflict as conflict:
                del changes[conflict.index]
                continue
            except ReplyLost as error:
                logger.debug("left rows of %s to the next look: %s", place, error)
            break


async def _tickets(realm: Realm, row: Row) -> list[Removal]:
    """What removes the first tickets of each lane. Those that are held or delayed are void without their rows."""
    names = []
    for lane in sorted(lanes_in(row)):
        name, suffix = queue_name(realm.name, lane), realm.queue(lane).limits.dead_letters
        names += [name, name + suffix] if suffix else [name]
    return [removal for removals in await together(_received(realm, name) for name in names) for removal in removals]


async def _received(realm: Realm, name: str) -> list[Removal]:
    queue = realm.stack.queue(name)
    deliveries: list[Delivery] = []
    try:
        while len(deliveries) < MOST_TICKETS:
            more = await queue.receive(queue.limits.max_receive, lease=LEASE)
            if not more:
                break
            deliveries += more
    except NotFound:
        return []
    except NotAllowed as error:
        logger.warning("left the tickets of queue %s, which are void: %s", name, error)
    return [partial(_complete, queue, deliveries[n::AT_ONCE]) for n in range(min(AT_ONCE, len(deliveries)))]


async def _complete(queue: TicketQueue, deliveries: Sequence[Delivery]) -> None:
    for delivery in deliveries:
        with suppress(LeaseLost, ReplyLost):
            await queue.complete(delivery)


async def _blobs(realm: Realm) -> list[Removal]:
    """What removes the first blobs of one kind."""
    for kind in BLOBS:
        keys = (await realm.stack.blobs.list(f"{kind}/{realm.name}/"))[:MOST_BLOBS]
        if keys:
            return [partial(_delete_blobs, realm, keys[n::AT_ONCE]) for n in range(min(AT_ONCE, len(keys)))]
    return []


async def _delete_blobs(realm: Realm, keys: Sequence[str]) -> None:
    for key in keys:
        with suppress(ReplyLost):
            await realm.stack.blobs.delete(key)
