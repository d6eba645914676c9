"""Files shipped with jobs, at a worker: fetched once each, checked, and copied into the directories of jobs."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from jobq.core.files import get_file
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.errors import BadInput
from jobq.model.files import File, Manifest, name_in

FETCHES = 8
"""At the same time; each holds a piece."""
KEEP_BYTES = 4 * 1024**3
"""When so much was fetched, or there is no room for more, it goes when a job with other files comes."""


@dataclass(eq=False, slots=True)
class JobFiles:
    """What was fetched, until `close`. Jobs get copies: none can change what another one gets."""

    keep_bytes: int = KEEP_BYTES
    _pieces: IO[bytes] | None = None
    """One after the other, in a file without a name: it goes with the worker, however that ends."""
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where in it a piece begins, and its length."""
    _end: int = 0
    _has_no_room: bool = False
    _users: int = 0
    _manifests: dict[str, Manifest] = field(default_factory=dict)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    """By name: whoever is the first fetches it, the others wait."""
    _hold: threading.Lock = field(default_factory=threading.Lock)
    """Held while a thread uses the file's descriptor: `close` may come when nobody waits for that thread any more."""
    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES))

    async def copy_to(self, realm: Realm, work: Path, name: str) -> None:
        """Put the files of a manifest, and what it names in the realm, below an empty directory.

        Raises BadInput, naming the file, for what is gone, broken or would lie elsewhere; Unreachable; OSError.
        """
        is_full = self._has_no_room or self._end > self.keep_bytes
        if is_full and name not in self._manifests and not self._users:
            self.close()
        self._users += 1
        try:
            manifest, month = await self._manifest(realm, name), name.partition("-")[0]
            await together(self._fetch_all(realm, path, file, month) for path, file in manifest.files.items())
            await asyncio.to_thread(self._write_all, manifest, month, work, self._pieces)
        except OSError:
            self._has_no_room = True
            raise
        finally:
            self._users -= 1

    def close(self) -> None:
        """Forget what was fetched."""
        if self._pieces:
            with self._hold:
                self._pieces.close()
        self._pieces, self._end, self._has_no_room = None, 0, False
        for known in (self._places, self._manifests, self._turns):
            known.clear()

    async def _manifest(self, realm: Realm, name: str) -> Manifest:
        async with self._turn(name):
            if name not in self._manifests:
                try:
                    self._manifests[name] = await asyncio.to_thread(Manifest.parse, await get_file(realm, name))
                except BadInput as error:
                    raise BadInput(f"the list of its files cannot be had: {error}") from error
            return self._manifests[name]

    async def _fetch_all(self, realm: Realm, path: str, file: File, month: str) -> None:
        try:
            for piece in file.pieces:
                await self._fetch(realm, name_in(month, piece))
        except BadInput as error:
            raise BadInput(f"its file {path!r} cannot be had: {error}") from error

    async def _fetch(self, realm: Realm, name: str) -> None:
        async with self._turn(name):
            if name in self._places:
                return
            async with self._gate:
                data = await get_file(realm, name)
                if self._pieces is None:
                    self._pieces = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # `close` closes it
                start, self._end = self._end, self._end + len(data)
                await asyncio.to_thread(self._append, self._pieces, data, start)
                self._places[name] = start, len(data)

    def _turn(self, name: str) -> asyncio.Lock:
        return self._turns.setdefault(name, asyncio.Lock())

    def _append(self, pieces: IO[bytes], data: bytes, start: int) -> None:
        with self._hold:
            if os.pwrite(pieces.fileno(), data, start) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _write_all(self, manifest: Manifest, month: str, work: Path, pieces: IO[bytes] | None) -> None:
        for path, file in manifest.files.items():
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with os.fdopen(os.open(target, flags, 0o755 if file.is_executable else 0o644), "wb") as copy:
                for piece in file.pieces:
                    assert pieces is not None  # it was fetched
                    copy.write(self._read(pieces, name_in(month, piece)))
                    if copy.tell() > file.size:
                        break
                if copy.tell() != file.size:
                    raise BadInput(f"its file {path!r} is not of the {file.size:,} bytes that its manifest says")

    def _read(self, pieces: IO[bytes], name: str) -> bytes:
        start, length = self._places[name]
        with self._hold:
            return os.pread(pieces.fileno(), length, start)
