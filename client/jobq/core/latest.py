"""What the sweeper follows: the realm and its latest batches, with how many jobs had ended at a few moments.

A summary takes rates from it, and in a realm of thousands of batches learns from it which ones to look at.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, TypeVar

from jobq.core.counted import NOTHING, Counted, summed
from jobq.core.ports import Row, Value
from jobq.core.rows import REALM_LABEL, label_of, position_of
from jobq.model.counts import Counts, Ever
from jobq.model.durations import from_iso
from jobq.model.job import Json
from jobq.model.pace import Sample
from jobq.model.series import START
from jobq.model.wire import dumps

T = TypeVar("T")

MOST = 50
"""Batches that are followed, tags, and failures."""
MOST_CHARS = 30_000
"""Of the tags, or the failures, as they are stored: a text column takes 32 Ki."""
SOON_ROWS = 800
"""Counter rows of batches in a shard that surely fit in a summary's page of 1,000, with those that come soon."""

_TIERS = (
    (timedelta(minutes=4), timedelta(minutes=1)),
    (timedelta(minutes=15), timedelta(minutes=3)),
    (timedelta(minutes=75), timedelta(minutes=15)),
)
"""Of moments up to an age, one is kept in each step."""


@dataclass(frozen=True, slots=True)
class Followed:
    label: str
    since: str
    counts: Counts
    """As they were then; of what has ever been, the preemptions only."""
    ended: tuple[int | None, ...]
    """Jobs that had ended at each of the times; None where it was not followed yet."""


@dataclass(frozen=True, slots=True)
class Latest:
    times: tuple[datetime, ...] = ()
    followed: tuple[Followed, ...] = ()
    """The realm, then the batches: those with jobs left to run before the others, each newest first."""
    has_more: bool = False
    """Whether there are more batches."""
    begin: str = ""
    """The label from which on a summary counts batches itself; empty: from the first."""
    failures: tuple[tuple[str, str, int], ...] = ()
    """Fingerprint, line and number of jobs, most jobs first."""
    tags: tuple[tuple[str, Counted], ...] = ()
    """By label, in the order of batches."""

    @property
    def batches(self) -> list[Followed]:
        return [own for own in self.followed if own.label != REALM_LABEL]

    def samples_of(self, label: str) -> list[Sample]:
        """The first one is that none had ended when the first was pushed; none for what is not followed."""
        own = next((own for own in self.followed if own.label == label), None)
        if own is None:
            return []
        pairs = zip(self.times, own.ended, strict=True)
        seen = [Sample(at, ended) for at, ended in pairs if ended is not None]
        begun = from_iso(own.since) if own.since else None
        return [Sample(begun, 0), *seen] if begun and begun < seen[0].at else seen

    def says_the_same(self, other: Latest) -> bool:
        """But for the times."""
        mine, others = ([(own.label, own.counts) for own in latest.followed] for latest in (self, other))
        rest, others_rest = ((one.begin, one.failures, one.tags) for one in (self, other))
        return mine == others and rest == others_rest


def newest_first(labels: Mapping[str, Counted]) -> list[str]:
    """Labels of those with any jobs; first the ones in which some have not ended."""
    left = {label: own for label, own in labels.items() if own.is_left}
    return sorted(left, key=lambda label: (left[label].counts.remaining > 0, left[label].since, label), reverse=True)


def most_first(errors: Mapping[str, Counted]) -> list[tuple[str, str, int]]:
    """Fingerprint, line and number of jobs of those with any."""
    failures = [(label[1:], own.name, own.counts.total) for label, own in errors.items() if own.counts.total > 0]
    return sorted(failures, key=lambda failure: (-failure[2], failure[0]))


def look(shards: Sequence[Sequence[Row]], before: Latest, now: datetime) -> Latest:
    """The counters of all shards now, after what was seen before."""
    counted = summed(row for rows in shards for row in rows)
    kinds = {kind: {label: own for label, own in counted.items() if label[0] == kind} for kind in "bte"}
    batches, tags = newest_first(kinds["b"]), newest_first(kinds["t"])
    chosen, times = batches[:MOST], (*before.times, now)
    kept = _kept(times, now)

    def follow(label: str) -> Followed:
        own = counted.get(label, NOTHING)
        old = next((known.ended for known in before.followed if known.label == label), (None,) * len(before.times))
        ended = (*old, own.counts.ended)
        counts = Counts(own.counts.total, own.counts.succeeded, own.counts.failed, own.counts.cancelled)
        preempted = Ever(preempted=own.counts.ever.preempted)
        return Followed(label, own.since, counts + Counts(ever=preempted), tuple(ended[index] for index in kept))

    return Latest(
        times=tuple(times[index] for index in kept),
        followed=tuple(map(follow, (REALM_LABEL, *chosen))),
        has_more=len(batches) > MOST,
        begin=_begin(shards, [label for label in chosen if counted[label].counts.remaining > 0] or chosen[:1]),
        failures=_that_fit(most_first(kinds["e"])[:MOST], lambda failure: [*failure]),
        tags=_that_fit([(tag, _plain(counted[tag])) for tag in tags[:MOST]], _tag_to_list),
    )


def values_of_latest(latest: Latest) -> dict[str, Value]:
    return {
        "times": dumps([(at - START) // timedelta(seconds=1) for at in latest.times]),
        "followed": dumps([*map(_to_list, latest.followed)]),
        "has_more": latest.has_more,
        "begin": latest.begin,
        "failures": dumps([list(failure) for failure in latest.failures]),
        "tags": dumps([*map(_tag_to_list, latest.tags)]),
    }


def latest_of(row: Row | None) -> Latest:
    if row is None:
        return Latest()
    values = row.values
    return Latest(
        times=tuple(START + timedelta(seconds=seconds) for seconds in json.loads(str(values["times"]))),
        followed=tuple(map(_of_list, json.loads(str(values["followed"])))),
        has_more=bool(values["has_more"]),
        begin=str(values["begin"]),
        failures=tuple((key, line, jobs) for key, line, jobs in json.loads(str(values["failures"]))),
        tags=tuple((label, Counted(name, "", Counts(*net))) for label, name, *net in json.loads(str(values["tags"]))),
    )


def _kept(times: Sequence[datetime], now: datetime) -> list[int]:
    """Places of the times that are worth keeping: ever fewer the longer ago, and the last one."""
    kept: dict[tuple[timedelta, int], int] = {}
    for index, at in enumerate(times[:-1]):
        step = next((step for age, step in _TIERS if now - at <= age), None)
        if step:
            kept.setdefault((step, (at - START) // step), index)
    return [*sorted(kept.values()), len(times) - 1]


def _begin(shards: Sequence[Sequence[Row]], wanted: Sequence[str]) -> str:
    """Where a page of each shard holds as many of the wanted labels as can be; empty where it holds all batches."""
    keys = [[row.key for row in rows if label_of(row.key)[0] == "b"] for rows in shards]
    if max(map(len, keys), default=0) <= SOON_ROWS:
        return ""

    def held_from(label: str) -> int:
        ends = []
        for own in keys:
            last = bisect_left(own, f"count~{label}") + SOON_ROWS
            ends.append(position_of(label_of(own[last])) if last < len(own) else "~")
        return sum(f"count~{label}" < position_of(other) < min(ends) for other in wanted)

    return max(wanted, key=lambda label: (held_from(label), label), default="")


def _that_fit(items: Sequence[T], to_list: Callable[[T], list[Json]]) -> tuple[T, ...]:
    """As many of the first ones as a column takes."""
    sizes = accumulate(len(dumps(to_list(item))) + 1 for item in items)
    return tuple(item for item, size in zip(items, sizes, strict=True) if size < MOST_CHARS)


def _plain(own: Counted) -> Counted:
    """Its name and net counts."""
    return Counted(own.name, "", own.counts.net)


def _tag_to_list(tag: tuple[str, Counted]) -> list[Json]:
    label, own = tag
    return [label, own.name, own.counts.total, own.counts.succeeded, own.counts.failed, own.counts.cancelled]


def _to_list(own: Followed) -> list[Json]:
    counts = own.counts
    numbers = [counts.total, counts.succeeded, counts.failed, counts.cancelled, counts.ever.preempted]
    return [own.label, own.since, [*numbers], [*own.ended]]


def _of_list(stored: list[Any]) -> Followed:
    label, since, (total, succeeded, failed, cancelled, preempted), ended = stored
    counts = Counts(total, succeeded, failed, cancelled, Ever(preempted=preempted))
    return Followed(label, since, counts, tuple(ended))
