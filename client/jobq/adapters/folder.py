"""The BlobStore port on a folder, and in memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from jobq.errors import BadInput, Conflict, NotAllowed, ReplyLost, Unreachable

# Neither character is legal in a key, so no blob can have the name of another one's file.
APPENDED = "+"
"""Ends the file name of a blob made by `append`; one made by `put` has the plain name, which wins where both exist."""
UNFINISHED = "~"
"""Begins the name of a file that a `put` is writing, or was when its process died."""

COPY_BYTES = 1024 * 1024


class FolderBlobs:
    """A file per blob, below `root`. With `durable`, a blob that was `put` survives a power cut; logs need not."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self._root = root
        self._durable = durable

    async def put(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, self._path(key), data)

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        return await asyncio.to_thread(_get, self._path(key), start)

    async def put_file(self, key: str, file: Path) -> None:
        await asyncio.to_thread(self._put_file, self._path(key), file)

    async def get_file(self, key: str, file: Path) -> bool:
        return await asyncio.to_thread(_get_file, self._path(key), file)

    async def append(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(_append, self._path(key), key, data)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(_delete, self._path(key))

    async def list(self, prefix: str) -> list[str]:
        folder = prefix.rpartition("/")[0]
        top = self._path(folder) if folder else self._root
        keys = await asyncio.to_thread(lambda: set(_keys(self._root, top)))
        return sorted(key for key in keys if key.startswith(prefix))

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if not all(map(_is_name, segments)):
            raise BadInput(f"{key!r} is no blob key: a path of plain names, without an empty one, '.' or '..'")
        return self._root.joinpath(*segments)

    def _put_file(self, path: Path, file: Path) -> None:
        with file.open("rb") as source:
            self._put(path, source)

    def _put(self, path: Path, data: bytes | BinaryIO) -> None:
        with _os_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = path.with_name(f"{UNFINISHED}{uuid.uuid4().hex}")
            try:
                self._write(unfinished, data)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            _appended(path).unlink(missing_ok=True)
            if self._durable:
                _sync_folder(path.parent)

    def _write(self, path: Path, data: bytes | BinaryIO) -> None:
        with path.open("wb") as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                shutil.copyfileobj(data, file, COPY_BYTES)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())


class MemoryBlobs:
    """For tests and simulations: blobs of this object only."""

    def __init__(self) -> None:
        self._put: dict[str, bytes] = {}
        self._appended: dict[str, bytearray] = {}

    async def put(self, key: str, data: bytes) -> None:
        self._put[key] = bytes(data)
        self._appended.pop(key, None)

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        data = self._put.get(key, self._appended.get(key))
        return None if data is None else bytes(data[start:])

    async def put_file(self, key: str, file: Path) -> None:
        await self.put(key, await asyncio.to_thread(file.read_bytes))

    async def get_file(self, key: str, file: Path) -> bool:
        data = await self.get(key)
        if data is None:
            return False
        await asyncio.to_thread(file.write_bytes, data)
        return True

    async def append(self, key: str, data: bytes) -> None:
        if key in self._put:
            raise _not_appendable(key)
        self._appended.setdefault(key, bytearray()).extend(data)

    async def delete(self, key: str) -> None:
        self._put.pop(key, None)
        self._appended.pop(key, None)

    async def list(self, prefix: str) -> list[str]:
        return sorted(key for key in (*self._put, *self._appended) if key.startswith(prefix))


def _is_name(segment: str) -> bool:
    return segment not in ("", ".", "..") and not any(char in "\\\0:+~" for char in segment)


def _appended(path: Path) -> Path:
    return path.with_name(path.name + APPENDED)


def _get(path: Path, start: int) -> bytes | None:
    with _os_errors(path):
        for candidate in (path, _appended(path)):
            try:
                with candidate.open("rb") as file:
                    file.seek(start)
                    return file.read()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
    return None


def _get_file(path: Path, target: Path) -> bool:
    try:
        source = path.open("rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    with source, target.open("xb") as file:
        shutil.copyfileobj(source, file, COPY_BYTES)
    return True


def _append(path: Path, key: str, data: bytes) -> None:
    with _os_errors(path):
        if path.is_file():
            raise _not_appendable(key)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = _appended(path).open("ab")
    try:
        with file:
            file.write(data)
    except OSError as error:
        raise ReplyLost(f"{path}: a part of what was appended may be missing ({error})") from error


def _delete(path: Path) -> None:
    with _os_errors(path):
        # The hidden one first: a crash in between must not bring back what a `put` has replaced.
        for candidate in (_appended(path), path):
            try:
                candidate.unlink(missing_ok=True)
            except (NotADirectoryError, IsADirectoryError):
                continue


def _keys(root: Path, top: Path) -> Iterator[str]:
    for folder, _, names in os.walk(top, onerror=_unless_missing):
        for name in names:
            if not name.startswith(UNFINISHED):
                yield (Path(folder) / name.removesuffix(APPENDED)).relative_to(root).as_posix()


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        with _os_errors(Path(str(error.filename))):
            raise error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_appendable(key: str) -> Conflict:
    return Conflict(f"blob {key} was stored whole; nothing can be added to it", 0)


@contextmanager
def _os_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise BadInput(f"{path}: a blob's key cannot be the folder of another ({error})") from error
    except PermissionError as error:
        raise NotAllowed(f"{path}: {error}; you need the right to write in its folder") from error
    except OSError as error:
        raise Unreachable(f"{path}: {error}; see to the disk, and try again") from error
