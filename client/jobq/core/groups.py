"""Steps of many jobs of one shard, cut into as few transactions as hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jobq.core.ports import MAX_CHANGES, MAX_COMMIT_BYTES
from jobq.core.shard import unit_bytes
from jobq.core.transition import Unit
from jobq.model.job import Job

MAX_OUTBOX_BYTES = 25_000
"""Of the tickets that an outbox row promises, about: a text column takes 32 Ki characters, a message 45,000 bytes."""

Group = list[tuple[Job, Unit]]
"""Jobs whose steps go out in one transaction, each with its changes."""


def grouped(steps: Iterable[tuple[Job, Unit]]) -> Iterator[Group]:
    """Cut so that rows, index rows, counters and an outbox row with a ticket for each job fit in one transaction."""
    group: Group = []
    labels: set[str] = set()
    changes = size = promised = 0
    for job, unit in steps:
        bytes_, named = unit_bytes(unit), len(job.spec.lanes) * (6 * len(job.id) + 20)
        wanted = labels | unit.counts.keys()
        is_full = (
            changes + len(unit.changes) + len(wanted) + 1 > MAX_CHANGES
            or size + bytes_ > MAX_COMMIT_BYTES - 2 * MAX_OUTBOX_BYTES
            or promised + named > MAX_OUTBOX_BYTES
        )
        if group and is_full:
            yield group
            group, wanted, changes, size, promised = [], set(unit.counts), 0, 0, 0
        group.append((job, unit))
        labels, changes, size, promised = wanted, changes + len(unit.changes), size + bytes_, promised + named
    if group:
        yield group
