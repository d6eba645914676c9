"""Where outputs go: a folder of this machine, most often a mounted one, or a container of a storage account."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobq.core.ports import BlobStore
from jobq.model.names import new_token
from jobq.sync.tree import below

COPY_BYTES = 1024 * 1024


class Target(Protocol):
    async def put(self, path: str, file: Path) -> None:
        """Store a file under a relative path, in place of what was there, at once as a whole.

        Raises OSError or JobqError.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FolderTarget:
    root: Path

    async def put(self, path: str, file: Path) -> None:
        await asyncio.to_thread(_copy, file, below(self.root, path))

    async def close(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class BlobTarget:
    blobs: BlobStore
    prefix: str
    """Without a slash at its end."""
    close_stack: Callable[[], Awaitable[None]]

    async def put(self, path: str, file: Path) -> None:
        await self.blobs.put_file(f"{self.prefix}/{path}" if self.prefix else path, file)

    async def close(self) -> None:
        await self.close_stack()


def _copy(source: Path, target: Path) -> None:
    """With its executable bit and its time, where the folder keeps such things; on the disk when this returns."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name[:100]}.{new_token()[:8]}.part")
    try:
        with source.open("rb") as reading, unfinished.open("xb") as writing:
            shutil.copyfileobj(reading, writing, COPY_BYTES)
            writing.flush()
            os.fsync(writing.fileno())
        with suppress(OSError):
            shutil.copystat(source, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
