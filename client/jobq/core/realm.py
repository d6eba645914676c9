"""A realm as this process sees it: its stack, its shard writers, its clock. Every protocol takes it first."""

from __future__ import annotations

import random
from collections.abc import Callable, Container, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jobq.core.ports import Row, Stack, TicketQueue, create, merge
from jobq.core.rows import REALMS, job_key, job_of, partition, partition_of
from jobq.core.shard import ShardWriter
from jobq.core.together import together
from jobq.core.transition import Unit, move
from jobq.errors import Conflict, NotFound, RealmClosed, ReplyLost
from jobq.model.durations import from_iso, show_duration, to_iso, utc_now
from jobq.model.job import Job
from jobq.model.names import DEFAULT_LANE, SHARDS, lane_order, new_token, queue_name

EVERY_LANE = "*"
"""In place of a lane's name: the whole realm."""

LOOK_AGAIN = timedelta(seconds=30)
"""So long a process relies on what it has read of the realm's row: it may be told later that the realm is closed."""
CLOSED_FOR = 4 * LOOK_AGAIN
"""After this all processes know that a realm is being deleted: with time for writes under way, and for clocks."""


@dataclass(slots=True)
class Realm:
    stack: Stack
    name: str
    now: Callable[[], datetime] = utc_now
    new_token: Callable[[], str] = new_token
    random: random.Random = field(default_factory=random.Random)
    _writers: dict[int, ShardWriter] = field(default_factory=dict)
    _known_lanes: set[str] = field(default_factory=set)
    _looked_at: datetime | None = None
    """When it was last seen that the realm is not being deleted."""

    @property
    def address(self) -> str:
        return f"{self.stack.address}/{self.name}"

    def queue(self, lane: str) -> TicketQueue:
        return self.stack.queue(queue_name(self.name, lane))

    def beside(self, name: str) -> Realm:
        """Another realm of the same stack."""
        return Realm(self.stack, name, self.now, self.new_token, self.random)

    async def commit(self, unit: Unit, *, patience: float = 0.0) -> list[str]:
        """Through this process's one writer of the shard. Raises Conflict, ReplyLost."""
        writer = self._writers.get(unit.shard)
        if writer is None:
            where = partition(self.name, unit.shard)
            writer = self._writers[unit.shard] = ShardWriter(self.stack.table, where, self.new_token, self.now)
        return await writer.commit(unit, patience=patience)

    async def find(self, job_id: str) -> Job | None:
        row = await self.stack.table.get(partition_of(self.name, job_id), job_key(job_id))
        return job_of(row) if row else None

    async def read(self, job_id: str) -> Job:
        """Raises NotFound."""
        job = await self.find(job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id} in {self.address}; `jobq jobs` lists what there is")
        return job

    async def find_all(self, job_ids: Iterable[str]) -> list[Job | None]:
        return await together(self.find(job_id) for job_id in job_ids)

    def shard_scans(self, prefix: str, *, after: str = "") -> list[Coroutine[Any, Any, list[Row]]]:
        """A read of all rows with the prefix, for each shard, or of those after a key."""
        return [scan_all(self, partition(self.name, shard), prefix, after=after) for shard in range(SHARDS)]

    async def lanes(self) -> list[str]:
        """The realm's lanes, lowest first; lane 0 if nothing was pushed yet."""
        return (await self.lanes_and_paused())[0]

    async def lanes_and_paused(self) -> tuple[list[str], frozenset[str]]:
        """As `lanes`, with those that are paused: maybe EVERY_LANE. One read."""
        row = await self.row()
        return sorted(lanes_in(row), key=lane_order), frozenset(paused_in(row))

    async def row(self) -> Row | None:
        """Where its lanes and settings are; None for a realm that was never used."""
        return await self.stack.table.get(REALMS, self.name)

    async def open_row(self) -> Row | None:
        """As `row`, for whoever changes something in the realm. Raises RealmClosed for one that is being deleted."""
        looked_at = self.now()
        row = await self.row()
        if row is not None and is_closed(row):
            wait = max(timedelta(0), closed_at(row) + CLOSED_FOR - looked_at)
            when = f"in {show_duration(wait)}" if wait else "when that is done"
            raise RealmClosed(f"realm {self.address} is being deleted; its name can be used again {when}")
        self._looked_at = looked_at
        self._known_lanes &= lanes_in(row) if row else set()
        return row

    async def check_open(self) -> None:
        """Raises RealmClosed for a realm that is being deleted; at no cost for LOOK_AGAIN after the last look."""
        if not self._has_looked:
            await self.open_row()

    def look_again(self) -> None:
        """Rely no longer on what was read of the realm's row."""
        self._looked_at = None

    async def open_lanes(self, lanes: Iterable[str]) -> None:
        """Make the realm, and the lanes in it, known to its workers; at no cost once this process has done so lately.

        Raises NotFound for a lane whose queue is missing and is not made on demand, and RealmClosed for a realm that is
        being deleted.
        """
        wanted = set(lanes)
        for lane in sorted(wanted - self._known_lanes, key=lane_order):
            await self.queue(lane).open()
        while not (wanted <= self._known_lanes and self._has_looked):
            row = await self.open_row()
            if row is not None and wanted <= lanes_in(row):
                self._known_lanes |= lanes_in(row)
                return
            text = ",".join(sorted(wanted | (lanes_in(row) if row else set()), key=lane_order))
            try:
                if row is None:
                    changes = [create(self.name, {"lanes": text, "created_at": to_iso(self.now())})]
                else:
                    changes = [merge(self.name, {"lanes": text}, row.etag)]
                await self.stack.table.commit(REALMS, changes)
            except (Conflict, ReplyLost):
                continue

    @property
    def _has_looked(self) -> bool:
        since = self._looked_at
        return since is not None and since <= self.now() < since + LOOK_AGAIN


async def step(realm: Realm, before: Job | None, after: Job | None) -> Job | None:
    """One transition of one job, and the job with its new etag. Raises Conflict or ReplyLost: then read the row."""
    etags = await realm.commit(move(before, after))
    return replace(after, etag=etags[0]) if after else None


async def scan_all(realm: Realm, where: str, prefix: str, *, after: str = "") -> list[Row]:
    """Every row of a partition with the prefix, or of those after a key, page by page."""
    rows: list[Row] = []
    page = await realm.stack.table.scan(where, prefix, after=after)
    while page:
        rows += page
        if len(page) < 1000:
            break
        page = await realm.stack.table.scan(where, prefix, after=page[-1].key)
    return rows


def paused_in(row: Row | None) -> set[str]:
    """Of a realm's row: lanes, or EVERY_LANE. Nothing is taken from a realm that is being deleted."""
    if row is None:
        return set()
    return {EVERY_LANE} if is_closed(row) else set(str(row.values.get("paused", "")).split(",")) - {""}


def is_paused(lane: str, paused: Container[str]) -> bool:
    """`paused`: lanes, or EVERY_LANE, as of a realm that is being deleted."""
    return lane in paused or EVERY_LANE in paused


def lanes_in(row: Row | None) -> set[str]:
    return set(str(row.values.get("lanes", "")).split(",")) - {""} if row else {DEFAULT_LANE}


def is_closed(row: Row) -> bool:
    """Whether the realm of this row is being deleted."""
    return bool(row.values.get("deleting"))


def closed_at(row: Row) -> datetime:
    """Of one that is."""
    return from_iso(str(row.values["deleting"]))
