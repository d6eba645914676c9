"""One SQLite file (or one in memory) that tables and queues share: the connection, its thread, its transactions."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from jobq.errors import JobqError, NotAllowed, ReplyLost, Unreachable

MEMORY = ":memory:"
BUSY_SECONDS = 30.0
"""How long a call waits for another process's transaction (each takes milliseconds) before it raises Unreachable."""

SCHEMA_VERSION = 2
SCHEMA = (
    "CREATE TABLE version (last INTEGER NOT NULL)",
    "INSERT INTO version VALUES (0)",
    # version: of the commit that wrote the row, and so its etag. data: the values as JSON.
    "CREATE TABLE entity (partition TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL, data TEXT NOT NULL,"
    " PRIMARY KEY (partition, key)) WITHOUT ROWID",
    # visible_at: 0 once it may be received, else the second from which on it may be. receipt: raised by each holder.
    # due_at: the second from which on it could be received first, since it was sent or put back.
    "CREATE TABLE message (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, visible_at REAL NOT NULL,"
    " position INTEGER NOT NULL, number INTEGER NOT NULL, receipt INTEGER NOT NULL, body BLOB NOT NULL,"
    " due_at REAL NOT NULL DEFAULT 0)",
    "CREATE INDEX message_order ON message (queue, visible_at, position)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
FROM_VERSION_1 = (
    "ALTER TABLE message ADD COLUMN due_at REAL NOT NULL DEFAULT 0",
    "UPDATE message SET due_at = strftime('%s', 'now')",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class SqliteStore:
    """A SQLite database, safe to share with other processes of this machine (not over a network file system: WAL).

    A file is used in one thread of its own; a store in memory inline, without giving way to other coroutines, so that
    simulations with it are deterministic.

    `durable`: a call that has returned survives a power cut (an fsync each, `synchronous=FULL`). Without it, a call
    survives the death of the process, and a power cut may take the last calls: the latest first, never one from the
    middle (the log is a sequence; `synchronous=NORMAL`). That is right for a worker, whose lost suffix only runs jobs
    again, and wrong for a push, which has told somebody that the jobs are safe.
    """

    def __init__(self, path: Path | str, clock: Callable[[], float] = time.time, *, durable: bool = True) -> None:
        self.clock = clock
        self._path = str(path)
        in_memory = self._path == MEMORY
        self._db = self._opened(durable and not in_memory)
        self._thread = None if in_memory else ThreadPoolExecutor(1, thread_name_prefix="jobq-sqlite")

    async def run(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """What `work(connection, *args)` returns; for reads, and for writes of one statement."""
        if self._thread is None:
            return self._translated(work, *args)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._translated, work, *args)

    async def transact(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """As `run`, in one write transaction: all of `work` or, when it raises, nothing."""
        return await self.run(lambda db: self.in_transaction(db, work, *args))

    def in_transaction(self, db: sqlite3.Connection, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        """What `transact` does on the store's thread, for the work of a `run` that reads before it locks."""
        db.execute("BEGIN IMMEDIATE")
        try:
            result = work(db, *args)
        except BaseException:
            _roll_back(db)
            raise
        try:
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            _roll_back(db)
            raise ReplyLost(f"{self._path}: the write may or may not be stored ({error})") from error
        return result

    async def close(self) -> None:
        if self._thread is None:
            self._db.close()
            return
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown(wait=False)

    def _translated(self, work: Callable[[sqlite3.Connection, *Ts], T], *args: *Ts) -> T:
        try:
            return work(self._db, *args)
        except sqlite3.ProgrammingError:
            raise  # a mistake of ours, or a call after `close`
        except sqlite3.DatabaseError as error:
            raise _trouble(self._path, error) from error

    def _opened(self, durable: bool) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise _trouble(self._path, error) from error
        try:
            _prepare(db, "FULL" if durable else "NORMAL")
        except sqlite3.DatabaseError as error:
            db.close()
            raise _trouble(self._path, error) from error
        return db


def next_version(db: sqlite3.Connection, count: int = 1) -> int:
    """The first of `count` numbers never given out before by this store. Only inside a transaction."""
    (last,) = db.execute("SELECT last FROM version").fetchone()
    db.execute("UPDATE version SET last = ?", (last + count,))
    return int(last) + 1


def _prepare(db: sqlite3.Connection, synchronous: str) -> None:
    _switch_to_wal(db)
    db.execute(f"PRAGMA synchronous = {synchronous}")
    if _schema_version(db) == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    steps = {0: SCHEMA, 1: FROM_VERSION_1}  # none, if somebody else has done it while we waited
    for statement in steps.get(_schema_version(db), ()):
        db.execute(statement)
    db.execute("COMMIT")
    if (found := _schema_version(db)) != SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"its schema has version {found}, this jobq knows {SCHEMA_VERSION}")


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """Retried here: SQLite answers "locked" at once, without its busy handler, while others open the new file too."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _schema_version(db: sqlite3.Connection) -> int:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return int(version)


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:  # SQLite has rolled back by itself after a full disk
        db.execute("ROLLBACK")


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


_ADVICE = {
    sqlite3.SQLITE_BUSY: f"another process has held it for {BUSY_SECONDS:.0f} s; see who has it open, and try again",
    sqlite3.SQLITE_LOCKED: f"another process has held it for {BUSY_SECONDS:.0f} s; see who has it open, and try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space, and try again",
    sqlite3.SQLITE_IOERR: "the disk does not work as it should, or it is a network file system; use a local disk",
    sqlite3.SQLITE_CANTOPEN: "see that its folder exists and can be written to",
    sqlite3.SQLITE_NOTADB: "it is not a jobq store; name another folder, or move that file away",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; move it away or restore a copy",
}


def _trouble(path: str, error: sqlite3.DatabaseError) -> JobqError:
    code = _primary_code(error)
    writable = os.access(path if Path(path).exists() else Path(path).parent, os.W_OK)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or (code == sqlite3.SQLITE_CANTOPEN and not writable):
        return NotAllowed(f"{path}: {error}; you need the right to write this file and its folder")
    advice = _ADVICE.get(code, "the store cannot be used as it is")
    return Unreachable(f"{path}: {error}; {advice}")
