"""What a job's step from one state to another writes: its row, its index rows, its counts. Plain functions.

Everything that changes a job goes through `move`, so that rows and counts cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobq.core.ports import Change, Values, create, delete, merge
from jobq.core.rows import (
    changed_values,
    failed_key,
    failed_labels,
    job_key,
    member_key,
    member_labels,
    named_labels,
    values_of,
)
from jobq.model.counts import NEVER, Counts, counts_moved, happened
from jobq.model.job import Job, JobState
from jobq.model.names import key_part, shard_of


@dataclass(frozen=True, slots=True)
class Unit:
    """Changes of one shard that are applied together, with what they add to the counts under each label.

    The first change of a job's step is its row, so `etags[0]` of a one-job unit is the job's new etag.
    """

    shard: int
    changes: tuple[Change, ...]
    counts: Mapping[str, Counts]
    names: Mapping[str, str]
    """What people call each label, for the counter's row."""

    def also(self, *changes: Change) -> Unit:
        return Unit(self.shard, self.changes + changes, self.counts, self.names)


def join(units: Sequence[Unit]) -> tuple[Unit, list[int]]:
    """Units of one shard as one, and where in its changes each of them begins."""
    changes: list[Change] = []
    counts: dict[str, Counts] = {}
    names: dict[str, str] = {}
    firsts = []
    for unit in units:
        firsts.append(len(changes))
        changes += unit.changes
        names |= unit.names
        for label, count in unit.counts.items():
            counts[label] = counts.get(label, Counts()) + count
    return Unit(units[0].shard, tuple(changes), counts, names), firsts


def move(before: Job | None, after: Job | None) -> Unit:
    """From `before` (as read, with its etag; None: no row yet) to `after` (None: the row goes)."""
    job = after or before
    if job is None:
        raise ValueError("a move needs a job")
    changes = (_row_change(before, after), *_index_changes(before, after))
    names = {**(named_labels(before) if before else {}), **(named_labels(after) if after else {})}
    counts = _counts(before, after)
    return Unit(shard_of(job.id), changes, counts, {label: names[label] for label in counts})


def _row_change(before: Job | None, after: Job | None) -> Change:
    if before is None:
        assert after is not None
        return create(job_key(after.id), values_of(after))
    if after is None:
        return delete(job_key(before.id), before.etag)
    return merge(job_key(after.id), changed_values(values_of(before), values_of(after)), before.etag)


def _index_changes(before: Job | None, after: Job | None) -> list[Change]:
    job = after or before
    assert job is not None
    old, new = _index_rows(before), _index_rows(after)
    values: Values = {"id": job.id} if "!!" in key_part(job.id) else {}
    gone = [delete(key) for key in sorted(old - new)]
    return gone + [create(key, values) for key in sorted(new - old)]


def _index_rows(job: Job | None) -> set[str]:
    if job is None:
        return set()
    rows = {member_key(label, job.id) for label in member_labels(job)}
    if job.state is JobState.FAILED:
        rows |= {failed_key(label, job.id) for label in failed_labels(job)}
    return rows


def _counts(before: Job | None, after: Job | None) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for job, delta in (
        (before, counts_moved(before.state if before else None, None)),
        (after, counts_moved(None, after.state if after else None)),
    ):
        for label in named_labels(job) if job else ():
            counts[label] = counts.get(label, Counts()) + delta
    if after is not None and (ever := happened(before, after)) != NEVER:
        for label in failed_labels(after):
            counts[label] = counts.get(label, Counts()) + Counts(ever=ever)
    return {label: count for label, count in counts.items() if count != Counts()}
