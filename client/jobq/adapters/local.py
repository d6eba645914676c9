"""A whole backend in one folder, with nothing to install, and one in memory for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from jobq.adapters.folder import FolderBlobs, MemoryBlobs
from jobq.adapters.sqlite_queue import SqliteQueue
from jobq.adapters.sqlite_store import MEMORY, SqliteStore
from jobq.adapters.sqlite_table import SqliteTable
from jobq.core.ports import BlobStore, Table, TicketQueue
from jobq.errors import BadInput, NotAllowed, Unreachable

STORE_NAME = "jobq.sqlite3"
BLOBS_NAME = "blobs"


class LocalStack:
    """Table, queues and blobs in `directory`, which is created; for any number of processes of one machine.

    `durable`: what a call has stored survives a power cut. A worker does without it and is several times faster: see
    `SqliteStore`. What the two write lies in one log, so a durable push keeps all that came before it.
    """

    tables = ""
    table: Table
    blobs: BlobStore

    def __init__(self, directory: Path, *, durable: bool = True, clock: Callable[[], float] = time.time) -> None:
        self.address = f"local:{directory}"
        _make_private(directory)
        _make_private(directory / BLOBS_NAME)
        self._store = SqliteStore(directory / STORE_NAME, clock, durable=durable)
        self.table = SqliteTable(self._store)
        self.blobs = FolderBlobs(directory / BLOBS_NAME, durable=durable)

    def queue(self, name: str) -> TicketQueue:
        return SqliteQueue(self._store, name)

    async def close(self) -> None:
        await self._store.close()


class MemoryStack:
    """Everything in this object. No call of it gives way to other coroutines, so what runs above is deterministic."""

    address = "memory:"
    tables = ""
    table: Table
    blobs: BlobStore

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._store = SqliteStore(MEMORY, clock)
        self.table = SqliteTable(self._store)
        self.blobs = MemoryBlobs()

    def queue(self, name: str) -> TicketQueue:
        return SqliteQueue(self._store, name)

    async def close(self) -> None:
        await self._store.close()


def _make_private(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(f"{directory}: this is, or lies below, a file; name a folder") from error
    except PermissionError as error:
        raise NotAllowed(f"{directory}: {error}; you need the right to create this folder") from error
    except OSError as error:
        raise Unreachable(f"{directory}: {error}; see to the disk, and try again") from error
