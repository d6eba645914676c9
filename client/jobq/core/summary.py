"""What a page that polls wants to know of a realm, at a constant number of reads: 28, however many jobs, batches, tags.

The realm and its lanes are counted in full; of tags, errors and batches a page of each shard, and only labels whose
rows are all in it. What the sweeper follows (see `jobq.core.latest`) stands in for what is beyond that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobq.core.counted import NOTHING, Counted, summed
from jobq.core.history import latest
from jobq.core.latest import MOST, Latest, most_first, newest_first
from jobq.core.ports import Row
from jobq.core.realm import Realm
from jobq.core.rows import REALM_LABEL, label_of, lane_label, partition, position_of
from jobq.core.status import tallies_of
from jobq.core.together import together
from jobq.core.workers import is_live_worker, running_by_label, worker_rows
from jobq.model.counts import Tally
from jobq.model.names import SHARDS, lane_order
from jobq.model.pace import Sample, eta, rate
from jobq.model.series import Reading

PAGE = 1000
RECENT = timedelta(minutes=10)
"""Rates are over this time, and what was seen longer ago says nothing of them any more."""

Span = tuple[timedelta, timedelta]


@dataclass(frozen=True, slots=True)
class Pace:
    per_minute: float | None
    """None where it is not known."""
    eta: Span | None
    """The soonest and the latest that all may have ended."""


@dataclass(frozen=True, slots=True)
class BatchNow:
    name: str
    tally: Tally
    since: str
    """When it was pushed, in ISO 8601."""
    pace: Pace


@dataclass(frozen=True, slots=True)
class Summary:
    realm: Tally
    lanes: dict[str, Tally]
    tags: dict[str, Tally]
    has_more_tags: bool
    batches: list[BatchNow]
    """At most MOST; those with jobs that have not ended before the others, each newest first."""
    has_more_batches: bool
    failures: list[tuple[str, str, int]]
    """Fingerprint, line and number of jobs, most jobs first; at most MOST."""
    has_more_failures: bool
    workers: int
    slots: int
    paused: tuple[str, ...]
    per_minute: Mapping[str, float | None]
    """`succeeded`, `failed`, `preempted`."""
    eta: Span | None


@dataclass(frozen=True, slots=True)
class _Window:
    """Labels of which all rows were read: those after `after` and before `end`; empty where there is no end."""

    counted: dict[str, Counted]
    after: str = ""
    end: str = ""

    def holds(self, label: str) -> bool:
        position = position_of(label)
        return position > self.after and (not self.end or position < self.end)


async def summary(realm: Realm) -> Summary:
    """Nothing in it changes while nothing happens."""
    seen, minutes = await latest(realm)
    whole, errors, batches = await together(
        (_realm_lanes_tags(realm), _page(realm, "e"), _page(realm, "b", seen.begin)),
    )
    (workers,), row = await together([worker_rows(realm)]), await realm.lanes_and_paused()
    now, running = realm.now(), running_by_label(workers, realm.now())
    lanes, own = tallies_of(whole.counted, running, "l"), whole.counted.get(REALM_LABEL, NOTHING)
    tally = Tally(own.counts, running[REALM_LABEL])
    newest, has_more = _batches(seen, batches)
    failures, more_failures = _failures(seen, errors)
    live = [worker for worker in workers if is_live_worker(worker, now)]
    return Summary(
        realm=tally,
        lanes={lane: lanes[lane] for lane in sorted(lanes, key=lane_order)},
        tags=tallies_of(_tags(seen, whole), running, "t"),
        has_more_tags=bool(whole.end),
        batches=[
            BatchNow(
                one.name,
                Tally(one.counts, running[label]),
                one.since,
                _pace(seen.samples_of(label), one.counts.ended, one.counts.remaining, now),
            )
            for label, one in newest.items()
        ],
        has_more_batches=has_more,
        failures=failures,
        has_more_failures=more_failures,
        workers=len(live),
        slots=sum(int(worker.values.get("slots", 0)) for worker in live),
        paused=tuple(sorted(row[1])),
        per_minute=_rates(minutes, own, now),
        eta=_pace(seen.samples_of(REALM_LABEL), own.counts.ended, own.counts.remaining, now).eta,
    )


async def _page(realm: Realm, kind: str, begin: str = "") -> _Window:
    """A page of each shard, from a label on."""
    after = f"count~{begin}" if begin else ""
    pages = await together(
        realm.stack.table.scan(partition(realm.name, shard), f"count~{kind}", after=after, limit=PAGE)
        for shard in range(SHARDS)
    )
    return _window([(rows, len(rows) == PAGE) for rows in pages], after)


async def _realm_lanes_tags(realm: Realm) -> _Window:
    """The realm and its lanes in full, whose rows come before those of tags; and tags to the end of that page."""
    return _window(await together(_up_to_tags(realm, shard) for shard in range(SHARDS)))


async def _up_to_tags(realm: Realm, shard: int) -> tuple[list[Row], bool]:
    """The rows, and whether there may be more."""
    rows: list[Row] = []
    after = f"count~{lane_label('')}"
    while True:
        page = await realm.stack.table.scan(partition(realm.name, shard), "count~", after=after, limit=PAGE)
        rows += page
        if len(page) < PAGE:
            return rows, False
        after = page[-1].key
        if label_of(after) > REALM_LABEL:
            return rows, True


def _window(pages: Sequence[tuple[Sequence[Row], bool]], after: str = "") -> _Window:
    end = min((position_of(label_of(rows[-1].key)) for rows, is_cut in pages if is_cut), default="")
    counted = summed(row for rows, _ in pages for row in rows)
    return _Window({label: own for label, own in counted.items() if not end or position_of(label) < end}, after, end)


def _tags(seen: Latest, window: _Window) -> Mapping[str, Counted]:
    """By label; beyond the window those that the sweeper follows."""
    return {label: own for label, own in seen.tags if not window.holds(label)} | window.counted


def _batches(seen: Latest, window: _Window) -> tuple[dict[str, Counted], bool]:
    """By label, the newest first; and whether there are more."""
    known = {own.label: Counted(own.label[1:], own.since, own.counts) for own in seen.batches}
    all_ = {label: own for label, own in known.items() if not window.holds(label)} | window.counted
    labels = newest_first(all_)
    is_cut = bool(window.end or (window.after and seen.has_more))
    return {label: all_[label] for label in labels[:MOST]}, len(labels) > MOST or is_cut


def _failures(seen: Latest, window: _Window) -> tuple[list[tuple[str, str, int]], bool]:
    known = [failure for failure in seen.failures if not window.holds(f"e{failure[0]}")]
    all_ = sorted(known + most_first(window.counted), key=lambda failure: (-failure[2], failure[0]))
    return all_[:MOST], len(all_) > MOST or bool(window.end)


def _pace(samples: Sequence[Sample], ended: int, remaining: int, now: datetime) -> Pace:
    if not samples:
        return Pace(None, None)
    if now - samples[-1].at > RECENT:  # nobody has looked since then, or all was quiet
        return Pace(0.0 if samples[-1].ended == ended else None, None)
    return Pace(rate(samples, RECENT), eta(samples, remaining))


def _rates(minutes: Sequence[Reading], own: Counted, now: datetime) -> dict[str, float | None]:
    def of(name: str) -> float | None:
        samples = [Sample(reading.at, getattr(reading.numbers, name)) for reading in minutes]
        return _pace(samples, getattr(own.counts.ever, name), 0, now).per_minute

    return {name: of(name) for name in ("succeeded", "failed", "preempted")}
