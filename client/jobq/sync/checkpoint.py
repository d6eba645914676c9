"""A job's checkpoint: its directory as of a moment when nothing in it changed, and back again before the next attempt.

A file's content is a blob of its own, never written twice; a manifest names those of a whole directory, and appears
when they all are there. Each attempt writes manifests of its own only: a worker that has lost its lease, and does not
know yet, spoils nothing of the attempt that followed.

    checkpoint/<realm>/<job>/<attempt>/manifest     {"files": {"model.pt": {"key": "…", "size": 7, "exec": false}}}
    checkpoint/<realm>/<job>/<attempt>/<token>      a file
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jobq.core.checkpoints import MANIFEST
from jobq.core.ports import BlobStore
from jobq.errors import BadInput, JobqError
from jobq.model.names import new_token
from jobq.model.wire import dumps, loads_object
from jobq.sync.mirror import CopyFailed, in_parallel
from jobq.sync.tree import Stamp, below, scan, stamp_of

MOST_UNQUIET = 3
"""Passes in a row during which something was written; then what there is is saved all the same."""


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    stamp: Stamp


@dataclass(slots=True)
class Checkpoint:
    blobs: BlobStore
    base: str
    """Of all attempts of the job: `core.checkpoints.checkpoint_key`."""
    attempt: int
    directory: Path
    width: int
    _kept: dict[str, _Kept] = field(default_factory=dict)
    """What is stored, by relative path."""
    _saved: Mapping[str, str] | None = None
    """Keys in the last manifest, by path."""
    _stored: set[str] = field(default_factory=set)
    """All keys that are there: some have been replaced, and are deleted when no manifest names them any more."""
    _unquiet: int = 0

    async def restore(self) -> int:
        """Write the newest saved state into the directory, which is empty; how many files.

        Raises JobqError where it cannot be read, OSError where it cannot be written.
        """
        manifest = await self._newest()
        files: dict[str, Any] = manifest.get("files", {}) if manifest else {}
        problems = await asyncio.gather(
            *(self._restore(path, entry) for path, entry in files.items()), return_exceptions=True
        )
        for problem in filter(None, problems):
            raise problem
        self._saved = {path: kept.key for path, kept in self._kept.items()}
        return len(files)

    async def save(self, *, is_last: bool = False) -> bool:
        """Store what has changed; whether there is a new saved state. Raises CopyFailed.

        Not while something is being written, unless it always is; `is_last`: nobody writes any more.
        """
        before = dict(await self._scan())
        changed = [path for path, stamp in before.items() if path not in self._kept or self._kept[path].stamp != stamp]
        await in_parallel(self._store, self.directory, changed, self.width)
        is_quiet = dict(await self._scan()) == before
        self._unquiet = 0 if is_quiet else self._unquiet + 1
        if not (is_quiet or is_last or self._unquiet >= MOST_UNQUIET):
            return False
        self._kept = {path: kept for path, kept in self._kept.items() if path in before}
        keys = {path: kept.key for path, kept in self._kept.items()}
        if keys == self._saved or not (keys or self._saved):
            return False
        await self._write_manifest()
        self._saved = keys
        replaced = self._stored - set(keys.values())
        self._stored -= replaced
        await self._delete(sorted(replaced))
        return True

    async def forget(self) -> None:
        """The job has succeeded: nothing of it is kept."""
        await self._delete(await self.blobs.list(f"{self.base}/"))

    async def _newest(self) -> dict[str, Any] | None:
        keys = [key for key in await self.blobs.list(f"{self.base}/") if key.endswith(f"/{MANIFEST}")]
        if not keys:
            return None
        data = await self.blobs.get(keys[-1])
        return loads_object(data) if data is not None else None

    async def _restore(self, path: str, entry: Mapping[str, Any]) -> None:
        file, key = below(self.directory, path), str(entry["key"])
        if not key.startswith(f"{self.base}/"):
            raise BadInput(f"the checkpoint names {key!r}, which is none of its blobs")
        await asyncio.to_thread(partial(file.parent.mkdir, parents=True, exist_ok=True))
        if not await self.blobs.get_file(key, file):
            raise BadInput(f"of the checkpoint, {path} is gone")
        if entry.get("exec"):
            await asyncio.to_thread(file.chmod, 0o700)
        if stamp := await asyncio.to_thread(stamp_of, file):
            self._kept[path] = _Kept(key, stamp)
            self._stored.add(key)

    async def _scan(self) -> list[tuple[str, Stamp]]:
        try:
            return await asyncio.to_thread(lambda: list(scan(self.directory)))
        except OSError as error:
            raise CopyFailed(f"{error.filename}: {error.strerror}") from error

    async def _store(self, path: str) -> None:
        file = below(self.directory, path)
        stamp = await asyncio.to_thread(stamp_of, file)
        if stamp is None:
            return
        key = f"{self.base}/{self.attempt:06d}/{new_token()}"
        await self.blobs.put_file(key, file)
        self._stored.add(key)
        self._kept[path] = _Kept(key, stamp)

    async def _write_manifest(self) -> None:
        files = {
            path: {"key": kept.key, "size": kept.stamp.size, "exec": kept.stamp.is_executable}
            for path, kept in sorted(self._kept.items())
        }
        try:
            await self.blobs.put(f"{self.base}/{self.attempt:06d}/{MANIFEST}", dumps({"files": files}).encode())
        except JobqError as error:
            raise CopyFailed(str(error)) from error

    async def _delete(self, keys: list[str]) -> None:
        """What nobody refers to any more; what stays is removed with the job."""
        for key in keys:
            try:
                await self.blobs.delete(key)
            except JobqError:
                return
