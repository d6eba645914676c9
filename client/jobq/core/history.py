"""A realm's past at a constant size, for charts and rates: written by whoever sweeps it, in a partition of its own.

It is made of totals that only go up, read from the counters that a sweep reads anyway. So a sweep that is late or lost
does no harm, and of two at once one is refused. A sweep costs one read more, and one write while something changes or a
worker lives; where nothing does, none.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobq.core.counted import Counted, summed
from jobq.core.latest import Latest, latest_of, look, values_of_latest
from jobq.core.ports import Change, Row, Value, create, merge
from jobq.core.realm import Realm, scan_all
from jobq.core.rows import REALM_LABEL, history_partition, label_of
from jobq.core.together import together
from jobq.core.workers import is_live_worker, running_by_label
from jobq.errors import Conflict, ReplyLost
from jobq.model.counts import Counts, Tally
from jobq.model.durations import from_iso
from jobq.model.series import MINUTES, RANGES, RINGS, Numbers, Point, Range, Reading, of_list, points, to_list
from jobq.model.wire import dumps

logger = logging.getLogger(__name__)

LATEST = "latest"
"""The row with what is followed; the others have the names of their rings."""


@dataclass(frozen=True, slots=True)
class History:
    step_seconds: int
    points: list[Point]


async def record(realm: Realm, counters: Sequence[Sequence[Row]], workers: Sequence[Row]) -> bool:
    """Write down where the realm has come to, as its counters (by shard) say; whether that has changed."""
    of_realm = [row for rows in counters for row in rows if label_of(row.key) == REALM_LABEL]
    if not of_realm:
        return False
    where = history_partition(realm.name)
    stored = {row.key: row for row in await scan_all(realm, where, "")}
    own = summed(of_realm)[REALM_LABEL]
    new = _reading(realm.now(), own.counts, workers)
    minutes = _readings(stored.get(MINUTES.name))
    followed = look(counters, latest_of(stored.get(LATEST)), new.at)
    changes = _changes(stored, _first(own), new, followed)
    if changes:
        try:
            await realm.stack.table.commit(where, changes)
        except (Conflict, ReplyLost) as error:
            logger.debug("left the history of realm %s to another sweep: %s", realm.name, error)
    return not minutes or minutes[-1].numbers != new.numbers


async def history(realm: Realm, back: Range) -> History:
    """What came in each step of a range, and how it stood then. One read."""
    ring, length = RANGES[back]
    row = await realm.stack.table.get(history_partition(realm.name), ring.name)
    made = points(_readings(row), ring, realm.now() - length)
    return History(round(ring.step.total_seconds()), made)


async def latest(realm: Realm) -> tuple[Latest, list[Reading]]:
    """What is followed, and the readings of the last hours. Two reads."""
    where = history_partition(realm.name)
    seen, minutes = await together(realm.stack.table.get(where, key) for key in (LATEST, MINUTES.name))
    return latest_of(seen), _readings(minutes)


def _reading(now: datetime, counts: Counts, workers: Sequence[Row]) -> Reading:
    tally = Tally(counts, running_by_label(workers, now)[REALM_LABEL]).as_json()
    ever = counts.ever
    live = sum(is_live_worker(row, now) for row in workers)
    return Reading(now, Numbers(ever.succeeded, ever.failed, ever.preempted, tally["queued"], tally["running"], live))


def _first(own: Counted) -> list[Reading]:
    """What nobody has to look for: when the realm began there was nothing."""
    return [Reading(from_iso(own.since), Numbers())] if own.since else []


def _changes(stored: dict[str, Row], first: list[Reading], new: Reading, followed: Latest) -> list[Change]:
    changes = []
    for ring in RINGS:
        old = _readings(stored.get(ring.name))
        readings = ring.with_one_more(old or first, new) or first
        if readings is not first or not old:
            changes.append(_written(stored, ring.name, {"readings": dumps([*map(to_list, readings)])}))
    if any(change.key == MINUTES.name for change in changes) or not followed.says_the_same(
        latest_of(stored.get(LATEST))
    ):
        changes.append(_written(stored, LATEST, values_of_latest(followed)))
    return changes


def _written(stored: dict[str, Row], key: str, values: dict[str, Value]) -> Change:
    row = stored.get(key)
    return merge(key, values, row.etag) if row else create(key, values)


def _readings(row: Row | None) -> list[Reading]:
    return [of_list(one) for one in json.loads(str(row.values["readings"]))] if row else []
