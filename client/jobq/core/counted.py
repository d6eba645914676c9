"""Counter rows added up: what is counted under each label, and what people call it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobq.core.ports import Row
from jobq.core.rows import counts_of, label_of
from jobq.model.counts import Counts


@dataclass(frozen=True, slots=True)
class Counted:
    name: str
    since: str
    """When it was counted under first, in ISO 8601: of a batch, when it was pushed."""
    counts: Counts

    @property
    def is_left(self) -> bool:
        """Whether any job is."""
        return self.counts.net != Counts()

    def __add__(self, other: Counted) -> Counted:
        since = min(filter(None, (self.since, other.since)), default="")
        return Counted(self.name or other.name, since, self.counts + other.counts)


NOTHING = Counted("", "", Counts())


def summed(rows: Iterable[Row]) -> dict[str, Counted]:
    """By label, over shards and writers."""
    by_label: dict[str, Counted] = {}
    for row in rows:
        label = label_of(row.key)
        own = Counted(str(row.values.get("name", "")), str(row.values.get("since", "")), counts_of(row))
        by_label[label] = by_label.get(label, NOTHING) + own
    return by_label
