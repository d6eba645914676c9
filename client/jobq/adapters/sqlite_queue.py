"""The TicketQueue port on SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from jobq.adapters.sqlite_store import SqliteStore, next_version
from jobq.core.ports import NO_DELAY, Backlog, Delivery, QueueLimits, Waiting
from jobq.errors import BadInput, LeaseLost, TooLarge

LIMITS = QueueLimits(
    max_body_bytes=2**20,
    max_lease=timedelta(days=7),
    max_delay=timedelta(days=7),
    max_receive=32,
    max_send=1000,
    keeps_order=True,
    waits=False,
    poll_seconds=0.05,
    idle_poll_seconds=0.25,
)

_Message = tuple[int, int, bytes, int]
"""Id, delivery number, body, receipt."""


class SqliteQueue:
    """Messages by position. A lease that ran out can still be used as long as nobody else has received the message."""

    limits = LIMITS

    def __init__(self, store: SqliteStore, name: str) -> None:
        self._store = store
        self._name = name

    async def open(self) -> None:
        """Nothing: the first message makes the queue."""

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        _check_bodies(bodies)
        visible_at, due_at = self._visible_after(delay), self._store.clock() + delay.total_seconds()
        for start in range(0, len(bodies), LIMITS.max_send):
            await self._store.transact(_send, self._name, bodies[start : start + LIMITS.max_send], visible_at, due_at)

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        now, until = self._store.clock(), self._held_until(lease)
        ready = await self._store.run(self._receive, min(limit, LIMITS.max_receive), now, until)
        left = self._left(until)
        return [Delivery(str(id_), number, body, str(receipt), left) for id_, number, body, receipt in ready]

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        until = self._held_until(lease)
        await self._store.run(_extend, delivery, until)
        return replace(delivery, receipt=str(int(delivery.receipt) + 1), lease=self._left(until))

    async def complete(self, delivery: Delivery) -> None:
        await self._store.run(_complete, delivery)

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        _check_bodies([body])
        due_at = self._store.clock() + delay.total_seconds()
        await self._store.transact(_release, delivery, body, self._visible_after(delay), due_at)

    async def look(self, limit: int) -> Backlog:
        now = self._store.clock()
        count, ready = await self._store.run(_look, self._name, min(limit, LIMITS.max_receive), now)
        first = [Waiting(body, timedelta(seconds=max(0.0, now - due_at))) for body, due_at in ready]
        return Backlog(count, tuple(first))

    def _receive(self, db: sqlite3.Connection, limit: int, now: float, until: float) -> list[_Message]:
        if not _any_visible(db, self._name, now):
            return []  # an idle worker that polls takes no lock
        return self._store.in_transaction(db, _receive, self._name, limit, now, until)

    def _visible_after(self, delay: timedelta) -> float:
        if delay > LIMITS.max_delay:
            raise BadInput(f"a delay of {delay} is too long; at most {LIMITS.max_delay}")
        return self._store.clock() + delay.total_seconds() if delay > NO_DELAY else 0.0

    def _held_until(self, lease: timedelta) -> float:
        if lease > LIMITS.max_lease:
            raise BadInput(f"a lease of {lease} is too long; at most {LIMITS.max_lease}")
        return self._store.clock() + lease.total_seconds()

    def _left(self, until: float) -> timedelta:
        return max(NO_DELAY, timedelta(seconds=until - self._store.clock()))


def _check_bodies(bodies: Sequence[bytes]) -> None:
    longest = max(map(len, bodies), default=0)
    if longest > LIMITS.max_body_bytes:
        raise TooLarge(f"a ticket of {longest} bytes; the queue takes at most {LIMITS.max_body_bytes}")


def _send(db: sqlite3.Connection, queue: str, bodies: Sequence[bytes], visible_at: float, due_at: float) -> None:
    first = next_version(db, len(bodies))
    rows = [(n, queue, visible_at, n, bytes(body), due_at) for n, body in enumerate(bodies, first)]
    db.executemany(
        "INSERT INTO message (id, queue, visible_at, position, number, receipt, body, due_at)"
        " VALUES (?, ?, ?, ?, 0, 0, ?, ?)",
        rows,
    )


def _any_visible(db: sqlite3.Connection, queue: str, now: float) -> bool:
    query = "SELECT 1 FROM message WHERE queue = ? AND visible_at <= ? LIMIT 1"
    return db.execute(query, (queue, now)).fetchone() is not None


def _receive(db: sqlite3.Connection, queue: str, limit: int, now: float, until: float) -> list[_Message]:
    # First those whose time has come join the ready ones, so that the index gives the ready ones in order and a receive
    # costs the same however many messages are held or delayed.
    promote = "UPDATE message SET visible_at = 0 WHERE queue = ? AND visible_at > 0 AND visible_at <= ?"
    db.execute(promote, (queue, now))
    query = (
        "SELECT id, number + 1, body, receipt + 1 FROM message"
        " WHERE queue = ? AND visible_at = 0 ORDER BY position LIMIT ?"
    )
    ready: list[_Message] = db.execute(query, (queue, limit)).fetchall()
    hold = "UPDATE message SET visible_at = ?, number = number + 1, receipt = receipt + 1 WHERE id = ?"
    db.executemany(hold, [(until, row[0]) for row in ready])
    return ready


def _extend(db: sqlite3.Connection, delivery: Delivery, until: float) -> None:
    update = "UPDATE message SET visible_at = ?, receipt = receipt + 1 WHERE id = ? AND receipt = ?"
    if not db.execute(update, (until, *_held(delivery))).rowcount:
        raise _lost(delivery)


def _complete(db: sqlite3.Connection, delivery: Delivery) -> None:
    if db.execute("DELETE FROM message WHERE id = ? AND receipt = ?", _held(delivery)).rowcount:
        return
    if db.execute("SELECT 1 FROM message WHERE id = ?", (int(delivery.message_id),)).fetchone():
        raise _lost(delivery)


def _release(db: sqlite3.Connection, delivery: Delivery, body: bytes, visible_at: float, due_at: float) -> None:
    update = (
        "UPDATE message SET visible_at = ?, position = ?, receipt = receipt + 1, body = ?, due_at = ?"
        " WHERE id = ? AND receipt = ?"
    )
    if not db.execute(update, (visible_at, next_version(db), body, due_at, *_held(delivery))).rowcount:
        raise _lost(delivery)


def _look(db: sqlite3.Connection, queue: str, limit: int, now: float) -> tuple[int, list[tuple[bytes, float]]]:
    (count,) = db.execute("SELECT count(*) FROM message WHERE queue = ?", (queue,)).fetchone()
    # The order of the index, so that the cost does not grow: one whose lease ran out comes after those never held.
    query = "SELECT body, due_at FROM message WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, position LIMIT ?"
    return int(count), db.execute(query, (queue, now, limit)).fetchall()


def _held(delivery: Delivery) -> tuple[int, int]:
    return int(delivery.message_id), int(delivery.receipt)


def _lost(delivery: Delivery) -> LeaseLost:
    return LeaseLost(f"message {delivery.message_id} was received by another worker, or is gone")
