"""How far a realm, a tag, a lane or a batch is: from counters, at a cost that does not grow with the number of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jobq.core.ports import Row
from jobq.core.realm import Realm
from jobq.core.rows import REALM_LABEL, batch_label, counts_of, lane_label, tag_label
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


async def _status_of(realm: Realm, counted: dict[str, tuple[str, Counts]], workers: list[Row]) -> RealmStatus:
    running = running_by_label(workers, realm.now())
    tallies = {label: (name, Tally(counts, running[label])) for label, (name, counts) in counted.items()}
    lanes = _of_kind(tallies, "l")
    return RealmStatus(
        realm=tallies.get(REALM_LABEL, ("", Tally(Counts(), 0)))[1],
        lanes={lane: lanes[lane] for lane in sorted(lanes, key=lane_order)},
        tags=_of_kind(tallies, "t"),
        batches=_of_kind(tallies, "b"),
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
    return any(Tally(counted[label][1], running[label]).queued for label in labels)


async def _one(realm: Realm, label: str, missing: str) -> Tally:
    tally = await _tally(realm, label)
    if tally.counts == Counts():
        raise NotFound(missing)
    return tally


async def _tally(realm: Realm, label: str) -> Tally:
    counted, workers = await _counters(realm, f"count~{label}~")
    counts = counted[label][1] if label in counted else Counts()
    return Tally(counts, running_by_label(workers, realm.now())[label])


async def _counters(realm: Realm, prefix: str, *, after: str = "") -> tuple[dict[str, tuple[str, Counts]], list[Row]]:
    """Name and counts of each label under the prefix, summed over shards and writers; and the workers' rows."""
    *shards, workers = await together([*realm.shard_scans(prefix, after=after), worker_rows(realm)])
    summed: dict[str, tuple[str, Counts]] = {}
    for row in (row for rows in shards for row in rows):
        label = row.key.split("~")[1]
        name, counts = summed.get(label, (str(row.values.get("name", "")), Counts()))
        summed[label] = (name, counts + counts_of(row))
    return summed, workers


def _of_kind(tallies: dict[str, tuple[str, Tally]], kind: str) -> dict[str, Tally]:
    """Labels of one kind with at least one job, by their names."""
    named = {name: tally for label, (name, tally) in tallies.items() if label[0] == kind and tally.counts != Counts()}
    return dict(sorted(named.items()))
