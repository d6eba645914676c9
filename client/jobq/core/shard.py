"""Group commit: a process has one writer per shard, and while one transaction is in flight the next ones gather.

Counters never contend. A writer owns its counter rows: totals under each label, written in the same transaction as the
rows they count, If-Match the writer's own last etag. After a mismatch (somebody folded the row) or a lost reply (the
memory may be wrong) the writer takes a new id and counts from zero: what the old rows say, applied or not, stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from jobq.core.ports import MAX_CHANGES, MAX_COMMIT_BYTES, Change, Table, create, merge
from jobq.core.rows import count_key, named_since, values_of_counts
from jobq.core.transition import Unit
from jobq.errors import Conflict, ReplyLost
from jobq.model.counts import Counts


@dataclass(eq=False, slots=True)
class _Member:
    unit: Unit
    is_wanted: bool = True
    """Whether its caller still waits; one that was cancelled must not be sent again behind its back."""
    etags: list[str] | None = None
    error: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_done(self) -> bool:
        return self.etags is not None or self.error is not None


@dataclass(slots=True)
class _Counter:
    total: Counts
    etag: str


@dataclass(slots=True)
class ShardWriter:
    """The only one in this process that commits to a shard."""

    table: Table
    partition: str
    new_token: Callable[[], str]
    now: Callable[[], datetime]
    writer: str = ""
    _counters: dict[str, _Counter] = field(default_factory=dict)
    _waiting: list[_Member] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def commit(self, unit: Unit, *, patience: float = 0.0) -> list[str]:
        """Apply the unit together with whatever else waits for this shard; the etags of its changes, in order.

        With `patience` it waits so many seconds for another commit of the shard to go along with.
        Raises Conflict with an index into the unit's changes, or ReplyLost: then read the rows before concluding.
        """
        member = _Member(unit)
        self._waiting.append(member)
        try:
            if patience:
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await member.done.wait()
            async with self._turn:
                while not member.is_done:
                    await self._send_group()
        finally:
            member.is_wanted = False
            if member in self._waiting:
                self._waiting.remove(member)
        if member.error is not None:
            raise member.error
        assert member.etags is not None
        return member.etags

    async def _send_group(self) -> None:
        group = self._take_group()
        counts = _summed(group)
        counter_changes = [self._counter_change(label, count, group) for label, count in counts.items()]
        changes = [change for member in group for change in member.unit.changes] + counter_changes
        try:
            etags = await self.table.commit(self.partition, changes)
        except Conflict as conflict:
            self._refuse(group, conflict, len(changes) - len(counter_changes))
        except Exception as error:  # each member's caller gets it, whoever's turn it was to send
            self._renew_writer()
            _fail(group, error)
        except BaseException:
            self._renew_writer()
            _fail(group, ReplyLost("the commit was cut off; it may have been applied"))
            raise
        else:
            self._accept(group, counts, etags)

    def _take_group(self) -> list[_Member]:
        """The first in line, and those behind it that fit in one transaction and touch other rows."""
        group: list[_Member] = []
        keys: set[str] = set()
        labels: set[str] = set()
        size = 0
        for member in list(self._waiting):
            own = {change.key for change in member.unit.changes}
            bytes_ = unit_bytes(member.unit)
            count = len(keys | own) + len(labels | member.unit.counts.keys())
            if keys & own:
                continue
            if group and (count > MAX_CHANGES or size + bytes_ > MAX_COMMIT_BYTES):
                break
            group.append(member)
            keys |= own
            labels |= member.unit.counts.keys()
            size += bytes_
        self._waiting = [member for member in self._waiting if member not in group]
        return group

    def _counter_change(self, label: str, count: Counts, group: list[_Member]) -> Change:
        known = self._counters.get(label)
        total = known.total + count if known else count
        values = values_of_counts(total, self.now())
        if not self.writer:
            self.writer = self.new_token()
        key = count_key(label, self.writer)
        if known:
            return merge(key, values, known.etag)
        name = next(member.unit.names[label] for member in group if label in member.unit.names)
        return create(key, values | named_since(name, str(values["at"])))

    def _accept(self, group: list[_Member], counts: dict[str, Counts], etags: list[str]) -> None:
        for member in group:
            member.etags, etags = etags[: len(member.unit.changes)], etags[len(member.unit.changes) :]
            member.done.set()
        for (label, count), etag in zip(counts.items(), etags, strict=True):
            known = self._counters.get(label)
            self._counters[label] = _Counter(known.total + count if known else count, etag)

    def _refuse(self, group: list[_Member], conflict: Conflict, counters_from: int) -> None:
        """One change was refused, so nothing was applied: the rest goes again, without the member at fault."""
        if conflict.index >= counters_from:
            self._renew_writer()
            self._wait_again(group)
            return
        index = conflict.index
        for position, member in enumerate(group):
            if index < len(member.unit.changes):
                member.error = Conflict(str(conflict), index)
                member.done.set()
                self._wait_again([other for other in group if other is not group[position]])
                return
            index -= len(member.unit.changes)

    def _wait_again(self, group: list[_Member]) -> None:
        self._waiting[:0] = [member for member in group if member.is_wanted]

    def _renew_writer(self) -> None:
        self.writer = ""
        self._counters.clear()


def _summed(group: list[_Member]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for member in group:
        for label, count in member.unit.counts.items():
            counts[label] = counts.get(label, Counts()) + count
    return {label: count for label, count in counts.items() if count != Counts()}


def _fail(group: list[_Member], error: Exception) -> None:
    for member in group:
        member.error = error
        member.done.set()


def unit_bytes(unit: Unit) -> int:
    """About what the unit takes in a request."""
    return sum(map(_size, unit.changes))


def _size(change: Change) -> int:
    """About the bytes it takes in a request: an entity's envelope, and its text values in UTF-8."""
    return 1000 + sum(len(value) if isinstance(value, (str, bytes)) else 20 for value in change.values.values())
