"""Files that a checked-out job brings: fetched, checked, and written below a folder of this machine, never outside."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from jobq.errors import BadInput, JobqError
from jobq.model.files import File, Manifest, is_named_by, name_in
from jobq.shipping import file_at

Fetch = Callable[[str], bytes]
"""A manifest or a piece by its name; raises BadInput for one that is gone."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_LINKS = (errno.ELOOP, errno.ENOTDIR)
"""How a symbolic link, or a file, is refused where a folder is wanted."""


@dataclass(slots=True)
class Unpacking:
    """What jobs that were checked out together bring: what two of them share is written once."""

    folder: Path
    _written: dict[str, File] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    """Manifests."""

    def write(self, name: str, fetch: Fetch) -> None:
        """Put the files of a manifest in their places; what is there with other bytes is replaced.

        Raises BadInput for what is gone or broken, for a way that leads over a symbolic link, and for a file that
        another job needs with other bytes; JobqError for what cannot be written; and what `fetch` raises.
        """
        if name in self._done:
            return
        manifest, month = Manifest.parse(_checked(name, fetch)), name.partition("-")[0]
        for path, file in manifest.files.items():
            if self._written.get(path, file) != file:
                raise BadInput(f"its file {path!r} is not that of a job that was pulled with it; pull it alone")
        for path, file in manifest.files.items():
            with _said(path):
                self._write(path, file, lambda piece: _checked(name_in(month, piece), fetch))
            self._written[path] = file
        self._done.add(name)

    def _write(self, path: str, file: File, fetch: Fetch) -> None:
        *folders, name = PurePosixPath(path).parts
        with _opened(self.folder, folders) as place:
            if _is_link(name, place):
                raise BadInput(f"its file {path!r} is a symbolic link here; remove that, or pull in another folder")
            if not _is_there(path, self.folder / path, file):
                _replace(name, place, file, map(fetch, file.pieces))


def _checked(name: str, fetch: Fetch) -> bytes:
    data = fetch(name)
    if not is_named_by(name, data):
        raise BadInput(f"{name} is broken: what came has another digest; add the job again with --file")
    return data


@contextmanager
def _opened(folder: Path, below: list[str]) -> Iterator[int]:
    """The folder at the end of the way, made if need be, as a descriptor that no link can lead astray."""
    place = os.open(folder, _FOLDER)
    try:
        for name in below:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=place)
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        yield place
    finally:
        os.close(place)


def _replace(name: str, place: int, file: File, pieces: Iterator[bytes]) -> None:
    """All of it or nothing: whoever has the old file open keeps that."""
    new = f".jobq-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(new, _NEW, 0o755 if file.is_executable else 0o644, dir_fd=place), "wb") as copy:
            for piece in pieces:
                copy.write(piece)
            if copy.tell() != file.size:
                raise BadInput(f"its file {name!r} is not of the {file.size:,} bytes that its manifest says")
        os.rename(new, name, src_dir_fd=place, dst_dir_fd=place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new, dir_fd=place)
        raise


def _is_link(name: str, place: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _is_there(path: str, source: Path, file: File) -> bool:
    """Whether there is nothing to fetch."""
    try:
        return source.stat().st_size == file.size and file_at(path, source) == file
    except (OSError, BadInput):
        return False


@contextmanager
def _said(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _LINKS:
            raise BadInput(
                f"its file {path!r} would lie below a symbolic link or a file; pull in another folder"
            ) from error
        raise JobqError(f"its file {path!r} cannot be written here: {error.strerror or error}") from error
