"""The three ports that everything with a meaning is written above, and nothing else.

An adapter turns its backend's errors into those of `jobq.errors`: `Conflict`, `LeaseLost`, `NotAllowed`, `TooLarge`,
`Unreachable` (surely not applied, or a read), `ReplyLost` (a write that may have been applied).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Protocol

Value = str | int | float | bool | bytes
Values = Mapping[str, Value]

MAX_CHANGES = 100
"""Changes in one `Table.commit` (Azure Tables: entity-group transaction)."""

MAX_COMMIT_BYTES = 3_500_000
"""Encoded size of one `Table.commit`; Azure refuses 4 MiB, and its JSON escapes some characters to six bytes."""

NO_DELAY = timedelta(0)


class ChangeKind(Enum):
    CREATE = "create"
    MERGE = "merge"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One row's part of a commit. With an etag it holds only if the row still has that etag."""

    kind: ChangeKind
    key: str
    values: Values
    etag: str = ""

    @property
    def is_fenced(self) -> bool:
        """Whether applying it twice, or late, is refused by the table."""
        return self.kind is ChangeKind.CREATE or bool(self.etag)


def create(key: str, values: Values) -> Change:
    return Change(ChangeKind.CREATE, key, values)


def merge(key: str, values: Values, etag: str = "") -> Change:
    """Set some columns, keep the others. The row must exist."""
    return Change(ChangeKind.MERGE, key, values, etag)


def replace(key: str, values: Values, etag: str = "") -> Change:
    """Set all columns. The row must exist."""
    return Change(ChangeKind.REPLACE, key, values, etag)


def delete(key: str, etag: str = "") -> Change:
    """Remove the row. It must exist."""
    return Change(ChangeKind.DELETE, key, {}, etag)


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    etag: str
    values: Values


class Table(Protocol):
    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        """Apply all changes or none, and return the new etag of each row ("" where it was deleted).

        At most MAX_CHANGES, each of another row. Refuses (ValueError) a set in which no change `is_fenced`: a request
        that timed out may be applied later, and only a precondition makes that harmless.
        Raises Conflict with the index of a change whose row exists (create), is gone, or has another etag; after a
        retry of the adapter's own this may be the trace of its first try, so the caller reads before it concludes.
        """
        ...

    async def get(self, partition: str, key: str) -> Row | None:
        """The row as of now, or None."""
        ...

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        """Rows whose key starts with `prefix` and is greater than `after`, by key, at most `limit`.

        Only `columns` are returned where some are named. Fewer than `limit` rows means there are no more.
        """
        ...


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """What a queue can take, as data: there are no optional methods."""

    max_body_bytes: int
    max_lease: timedelta
    """Of one `receive` or `extend`; a backend with a lock time of its own may give less, or more than was asked for."""
    max_delay: timedelta
    max_receive: int
    """Messages in one `receive`."""
    max_send: int
    """Messages that travel in one request of `send`."""
    keeps_order: bool
    """Whether messages are received in the order they were sent."""
    waits: bool
    """Whether `receive` waits at the backend, without polling, until there is something."""
    dead_letters: str = ""
    """Added to a queue's name, the name of the queue of what the broker gave up to deliver; "" where it never does."""
    poll_seconds: float = 0.3
    """How often to ask an empty queue while people are at work; each question may cost a transaction."""
    idle_poll_seconds: float = 12.0
    """The same when nothing has come for long."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message held by one receiver for a while."""

    message_id: str
    """The same at each redelivery."""
    number: int
    """1 the first time; each redelivery is higher."""
    body: bytes
    receipt: str
    """What the queue needs to settle it; opaque."""
    lease: timedelta
    """How long it is held, from the return of the call that gave it: about what was asked for, unless the backend has a
    lock time of its own."""
    dead_reason: str = ""
    """Why the broker gave it up, of a message in a queue of dead letters."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that may be received now, as far as its queue can tell."""

    body: bytes
    age: timedelta
    """How long it has been in the queue. Where a message that was put back is a new one, since then."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is in a queue at a glance."""

    messages: int
    """About how many there are, held and delayed ones included; or as many of them as it took to see the first ones."""
    first: tuple[Waiting, ...] = ()
    """Those next in line."""


class TicketQueue(Protocol):
    limits: QueueLimits

    async def open(self) -> None:
        """Raises NotFound where queues are not made on demand and this one is missing; NotAllowed, Unreachable.

        To be asked before rows are written whose tickets could not be sent; at no cost from the second time on.
        """
        ...

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        """Put messages in the queue, to be received after `delay` (at most `limits.max_delay`); they never expire.

        A body is text in UTF-8 without control characters; TooLarge if it is over `limits.max_body_bytes`.
        Raises Unreachable or ReplyLost when some of them may not have been stored: sending all again is harmless.
        """
        ...

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        """Hold up to `limit` messages, each as long as its `lease` says. An empty list: the backend has none to give.

        Where `limits.waits`, the call waits up to `wait` for the first message; elsewhere it answers at once.
        """
        ...

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        """Hold the message for its new `lease`, and return the delivery to use from now on; the old receipt is void.

        Raises LeaseLost if another receiver has it, and also when the reply was lost, since the new receipt is unknown.
        """
        ...

    async def complete(self, delivery: Delivery) -> None:
        """Remove the message. One that is gone already is fine. Raises LeaseLost if another receiver has it."""
        ...

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        """Put the message back with new content, to be received after `delay`. Raises LeaseLost, ReplyLost.

        Its id may be another one then, unless nothing is new and there is no delay.
        """
        ...

    async def look(self, limit: int) -> Backlog:
        """How many messages there are, and up to `limit` (at most `limits.max_receive`) of those next in line.

        Nothing is held or changed. With a limit of 0 they are only counted.
        """
        ...


class BlobStore(Protocol):
    async def put(self, key: str, data: bytes) -> None:
        """Store `data` whole, in place of what was there."""
        ...

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        """The bytes from `start` on, or None if there is no such blob. Past the end: b""."""
        ...

    async def put_file(self, key: str, file: Path) -> None:
        """Store what is in a file now, of any size, as `put` does. Raises OSError where it cannot be read."""
        ...

    async def get_file(self, key: str, file: Path) -> bool:
        """Write a blob made by `put_file`, of any size, to a new file. False if there is none.

        Raises OSError where it cannot be written; there may be a part of it then, as after every other error.
        """
        ...

    async def append(self, key: str, data: bytes) -> None:
        """Add to the end, creating the blob if need be. One writer a key. Conflict(0) for a blob made by `put`."""
        ...

    async def delete(self, key: str) -> None:
        """Remove it; one that is gone already is fine."""
        ...

    async def list(self, prefix: str) -> list[str]:
        """Keys that start with `prefix`, in order."""
        ...


class Stack(Protocol):
    """One backend: a table, a blob store, and its queues by name."""

    @property
    def address(self) -> str:
        """As in a queue spec, without the realm: `account`, `local:./dir`, `sb://namespace`."""
        ...

    @property
    def tables(self) -> str:
        """The storage account with the table and the blobs, where the address does not say it; else ""."""
        ...

    @property
    def table(self) -> Table: ...

    @property
    def blobs(self) -> BlobStore: ...

    def queue(self, name: str) -> TicketQueue:
        """The queue of that name. It is created at its first use where it does not exist."""
        ...

    async def close(self) -> None: ...
