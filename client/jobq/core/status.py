"""How far a realm, a tag, a lane or a batch is: from counters, at a cost that does not grow with the number of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from jobq.core.counted import NOTHING, Counted, summed
from jobq.core.ports import Row
from jobq.core.realm import Realm
from jobq.core.rows import REALM_LABEL, batch_label, lane_label, tag_label
from jobq.core.together import together
from jobq.core.workers import is_live_worker, running_by_label, worker_rows
from jobq.errors import NotFound
from jobq.model.counts import Counts, Tally
from jobq.model.names import lane_order


@dataclass(frozen=True, slots=True)
class RealmStatus:
    realm: Tally
    lanes: dict[str, Tally] = field(default_factory=dict)
    tags: dict[str, Tally] = field(default_factory=dict)
    batches: dict[str, Tally] = field(default_factory=dict)
    workers: int = 0
    paused: tuple[str, ...] = ()
    """Lanes, or `*`."""


async def realm_status(realm: Realm) -> RealmStatus:
    """The realm as a whole, and each of its lanes, tags and batches, by name."""
    return await _status_of(realm, *await _counters(realm, "count~"))


async def status_without_batches(realm: Realm) -> tuple[RealmStatus, list[Row]]:
    """The same for who asks often, at a cost that does not grow with the number of pushes; and the workers' rows."""
    counted, workers = await _counters(realm, "count~", after=f"count~{lane_label('')}")
    return await _status_of(realm, counted, workers), workers


async def _status_of(realm: Realm, counted: Mapping[str, Counted], workers: list[Row]) -> RealmStatus:
    running = running_by_label(workers, realm.now())
    lanes = tallies_of(counted, running, "l")
    return RealmStatus(
        realm=Tally(counted.get(REALM_LABEL, NOTHING).counts, running[REALM_LABEL]),
        lanes={lane: lanes[lane] for lane in sorted(lanes, key=lane_order)},
        tags=tallies_of(counted, running, "t"),
        batches=tallies_of(counted, running, "b"),
        workers=sum(is_live_worker(row, realm.now()) for row in workers),
        paused=tuple(sorted((await realm.lanes_and_paused())[1])),
    )


async def tag_status(realm: Realm, tag: str) -> Tally:
    """Raises NotFound for a tag that no job ever had."""
    return await _one(realm, tag_label(tag), f"there is no tag {tag!r} in {realm.address}")


async def batch_status(realm: Realm, batch: str) -> Tally:
    """Raises NotFound for a batch that was never pushed."""
    return await _one(realm, batch_label(batch), f"there is no batch {batch!r} in {realm.address}")


async def total(realm: Realm) -> Tally:
    """The realm as a whole; zeros for one that was never used."""
    return await _tally(realm, REALM_LABEL)


async def is_anything_queued(realm: Realm, lanes: Iterable[str]) -> bool:
    """Whether jobs of these lanes wait to be run, delayed retries included."""
    counted, workers = await _counters(realm, "count~l")
    running = running_by_label(workers, realm.now())
    labels = [label for label in map(lane_label, lanes) if label in counted]
    return any(Tally(counted[label].counts, running[label]).queued for label in labels)


async def _one(realm: Realm, label: str, missing: str) -> Tally:
    tally = await _tally(realm, label)
    if tally.counts.net == Counts():
        raise NotFound(missing)
    return tally


async def _tally(realm: Realm, label: str) -> Tally:
    counted, workers = await _counters(realm, f"count~{label}~")
    return Tally(counted.get(label, NOTHING).counts, running_by_label(workers, realm.now())[label])


def tallies_of(counted: Mapping[str, Counted], running: Mapping[str, int], kind: str) -> dict[str, Tally]:
    """Labels of one kind (the first letter) with at least one job, by their names."""
    left = {label: own for label, own in counted.items() if label[0] == kind and own.is_left}
    tallies = {own.name: Tally(own.counts, running.get(label, 0)) for label, own in left.items()}
    return {name: tallies[name] for name in sorted(tallies)}


async def _counters(realm: Realm, prefix: str, *, after: str = "") -> tuple[dict[str, Counted], list[Row]]:
    """Each label under the prefix, summed over shards and writers; and the workers' rows."""
    *shards, workers = await together([*realm.shard_scans(prefix, after=after), worker_rows(realm)])
    return summed(row for rows in shards for row in rows), workers
