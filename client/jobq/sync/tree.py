"""The files below a directory that somebody may be writing: which there are, which are wanted, which have changed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from jobq.errors import BadInput

FLUSH_NOTE = ".amlt_flush_upload"
"""A file of this name asks for a copy now; it is removed when that is done."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when a file is written, or another one is put in its place."""

    size: int
    modified_ns: int
    inode: int
    is_executable: bool


@dataclass(frozen=True, slots=True)
class Pick:
    """Which files are wanted: patterns as of a shell, for the path below the directory or for the name alone."""

    include: tuple[str, ...] = ()
    """Empty: all."""
    exclude: tuple[str, ...] = ()

    @classmethod
    def of(cls, include: str, exclude: str) -> Pick:
        """Patterns separated by commas, semicolons or white space."""
        return cls(*(tuple(filter(None, re.split(r"[,;\s]+", text))) for text in (include, exclude)))

    def wants(self, path: str) -> bool:
        return (
            path != FLUSH_NOTE
            and not _is_like(path, self.exclude)
            and (not self.include or _is_like(path, self.include))
        )


def scan(root: Path) -> Iterator[tuple[str, Stamp]]:
    """Each regular file by its relative path, with `/`; what a link to a file points to, but no linked directories.

    A file that goes meanwhile is passed over. Raises OSError for a directory that cannot be read.
    """
    for folder, _, names in os.walk(root, onerror=_unless_gone):
        for name in names:
            file = Path(folder, name)
            if found := stamp_of(file):
                yield file.relative_to(root).as_posix(), found


def stamp_of(file: Path) -> Stamp | None:
    """None for what is no regular file, or not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino, bool(found.st_mode & stat.S_IXUSR))


def is_empty(root: Path) -> bool:
    """Whether there is nothing in a directory, or no directory."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def below(root: Path, path: str) -> Path:
    """Where a relative path belongs. Raises BadInput for one that leads anywhere else."""
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\0" in path or PurePosixPath(path).is_absolute():
        raise BadInput(f"{path!r} is no path below a directory")
    return root.joinpath(*parts)


def _is_like(path: str, patterns: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, pattern) or fnmatchcase(name, pattern) for pattern in patterns)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
