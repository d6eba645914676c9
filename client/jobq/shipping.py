"""Files that go with a push: found and read on this machine, then stored once, whatever the number of jobs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

from jobq.errors import BadInput
from jobq.model.durations import utc_now
from jobq.model.files import (
    ABSOLUTE,
    MAX_FILE_BYTES,
    MAX_MANIFEST_BYTES,
    PIECE_BYTES,
    File,
    Manifest,
    digest_of,
    file_path,
    month_of,
    name_in,
)

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.core.files import Contents


@dataclass(frozen=True, slots=True)
class Shipment:
    """Files of this machine that were read once, to know what they are."""

    manifest: Manifest
    sources: Mapping[str, Path]
    """Where they are, by their paths in a job's directory."""
    month: str

    @property
    def name(self) -> str:
        """What jobs call them; "" for none."""
        return name_in(self.month, digest_of(self.manifest.encode())) if self.sources else ""

    @property
    def size(self) -> int:
        return sum(file.size for file in self.manifest.files.values())

    def pieces(self) -> Contents:
        """Each once, to be read from its file."""
        return {
            name_in(self.month, piece): partial(_piece, self.sources[path], path, number * PIECE_BYTES, piece)
            for path, file in self.manifest.files.items()
            for number, piece in enumerate(file.pieces)
        }


def pack(given: Sequence[str]) -> Shipment:
    """Files, and folders with all that is below them. Raises BadInput, naming the file, for what cannot be shipped."""
    sources: dict[str, Path] = {}
    for text in given:
        for path, source in _found(text):
            if path in sources:
                raise BadInput(f"the file {path!r} is given twice; name it once, or only its folder")
            sources[path] = source
    manifest = Manifest({path: file_at(path, source) for path, source in sources.items()})
    if (size := len(manifest.encode())) > MAX_MANIFEST_BYTES:
        raise BadInput(
            f"{len(sources):,} files are too many: the list of them takes {size:,} bytes, and {MAX_MANIFEST_BYTES:,} "
            "are the most; pack them into an archive"
        )
    return Shipment(manifest, sources, month_of(utc_now()))


def ship(backend: Backend, shipment: Shipment) -> int:
    """Store what is not there yet; how many pieces and manifests that were. When it returns, all are stored."""
    if not shipment.sources:
        return 0
    pieces = shipment.pieces()
    missing = backend.missing_files([*pieces, shipment.name])
    backend.put_files({name: pieces[name] for name in missing if name in pieces})
    if shipment.name in missing:  # the last, so that it never names what is not there
        backend.put_files({shipment.name: shipment.manifest.encode})
    return len(missing)


def file_at(path: str, source: Path) -> File:
    """What the file of that path is here. Raises BadInput, naming it, for what cannot be shipped."""
    with _opened(path, source) as file:
        found = os.fstat(file.fileno())
        _check_size(path, found.st_size)
        digests, size = [], 0
        while data := file.read(PIECE_BYTES):
            digests.append(digest_of(data))
            size += len(data)
            _check_size(path, size)
    return File(size, tuple(digests), bool(found.st_mode & stat.S_IXUSR))


def _found(text: str) -> Iterator[tuple[str, Path]]:
    """Every file that is meant: its path in a job's directory, and here."""
    if PurePath(text).drive:
        raise BadInput(ABSOLUTE.format(text))
    if not text:
        raise BadInput("a file to ship has an empty name")
    path, source = file_path(PurePath(text).as_posix()), Path(text)
    with _readable(path or "."):
        below = sorted(_files_below(source)) if source.is_dir() else None
    if below is None:
        yield path, source
        return
    if not below:
        raise BadInput(f"the folder {text!r} has no file in it")
    for file in below:
        inside = file.relative_to(source).as_posix()
        yield file_path(f"{path}/{inside}" if path else inside), file


def _files_below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_raise):
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise BadInput(f"{Path(place) / name} is a link to a folder; ship the folder that it leads to")
        yield from (Path(place) / name for name in names)


def _check_size(path: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise BadInput(
            f"the file {path!r} is over {MAX_FILE_BYTES:,} bytes, the most that is shipped; "
            "put such data in blob storage, and have the job read it there"
        )


def _piece(source: Path, path: str, start: int, digest: str) -> bytes:
    with _opened(path, source) as file:
        file.seek(start)
        data = file.read(PIECE_BYTES)
    if digest_of(data) != digest:
        raise BadInput(f"the file {path!r} has changed while it was pushed; push again when nobody writes to it")
    return data


@contextmanager
def _opened(path: str, source: Path) -> Iterator[BinaryIO]:
    with _readable(path):
        if not stat.S_ISREG(source.stat().st_mode):  # before it is opened: a pipe would be waited at
            raise BadInput(f"{path!r} is neither a file nor a folder")
        with source.open("rb") as file:
            yield file


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"cannot read the file {path!r}: {getattr(error, 'strerror', None) or error}") from error


def _raise(error: OSError) -> None:
    raise error
