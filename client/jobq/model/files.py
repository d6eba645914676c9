"""Files shipped with jobs: what a manifest says of them, and what it is called in the store.

    {"v": 1, "files": {"data/x y.bin": {"size": 5000000, "pieces": ["<sha256>", "<sha256>"]},
                       "run.sh": {"size": 11, "pieces": ["<sha256>"], "executable": true}}}

Manifests and pieces are stored under the month of their push and their digest, `202611-<sha256>`. What is pushed again
within a month is not stored again; and a past month that no job names can be removed, whoever pushes meanwhile.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from jobq.errors import BadInput
from jobq.model.names import content_name
from jobq.model.wire import dumps, loads_object

MAX_FILE_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 4 * 1024 * 1024
"""Of a piece, and so of a request over HTTP, of which a control plane takes 8 MiB."""
MAX_MANIFEST_BYTES = PIECE_BYTES
"""Some 20,000 files."""
MAX_PATH_BYTES = 1000
MAX_SEGMENT_BYTES = 255
"""Of a file's name; file systems allow no more."""

ABSOLUTE = "{!r} is absolute, and files keep their relative path in the job's directory; push from a folder above them"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def month_of(moment: datetime) -> str:
    return f"{moment:%Y%m}"


def name_in(month: str, digest: str) -> str:
    return content_name(f"{month}-{digest}")


def is_named_by(name: str, data: bytes) -> bool:
    return name.rpartition("-")[2] == digest_of(data)


def file_path(text: str) -> str:
    """Where in a job's directory a file goes, without needless parts: `./x` is `x`, and `.` is "".

    Raises BadInput for what would lie elsewhere, and for what cannot be a file's name everywhere.
    """
    if text.startswith("/"):
        raise BadInput(ABSOLUTE.format(text))
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadInput(
            f"{text!r} has '..' in it, and files go below the job's directory; push from a folder above them"
        )
    if _CONTROL.search(text):
        raise BadInput(f"{text!r} has a control character in it, or is not UTF-8; rename it")
    path = "/".join(parts)
    if len(path.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in parts):
        raise BadInput(
            f"{path[:80]!r}… is too long: {MAX_PATH_BYTES} bytes are the most, {MAX_SEGMENT_BYTES} between two '/'"
        )
    return path


@dataclass(frozen=True, slots=True)
class File:
    size: int
    pieces: tuple[str, ...]
    """Digests, in order; none for an empty file."""
    is_executable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """Files by their paths. Usable as it is: no path leads out of a directory, and none is another one's folder."""

    files: Mapping[str, File]

    def __post_init__(self) -> None:
        for path in self.files:
            if not path or file_path(path) != path:
                raise BadInput(f"{path[:80]!r} is no path of a file")
        if both := self.files.keys() & _folders(self.files):
            raise BadInput(f"{min(both)!r} is a file, and the folder of another")

    @property
    def pieces(self) -> list[str]:
        """Each digest once."""
        return list(dict.fromkeys(piece for file in self.files.values() for piece in file.pieces))

    def encode(self) -> bytes:
        """The same for the same files."""
        return dumps({"v": 1, "files": {path: _to_json(self.files[path]) for path in sorted(self.files)}}).encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Raises BadInput for anything that this version of jobq did not write."""
        document = loads_object(data)
        files = document.get("files")
        if document.get("v") != 1 or not isinstance(files, dict):
            raise BadInput("it is no manifest that this version of jobq reads")
        return cls({path: _from_json(path, file) for path, file in files.items()})


def _folders(paths: Iterable[str]) -> set[str]:
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents}


def _to_json(file: File) -> dict[str, Any]:
    return {"size": file.size, "pieces": list(file.pieces)} | ({"executable": True} if file.is_executable else {})


def _from_json(path: str, data: object) -> File:
    said: dict[str, Any] = data if isinstance(data, dict) else {}
    size, pieces, is_executable = said.get("size"), said.get("pieces"), said.get("executable", False)
    if not _is_size(size) or not _are_digests(pieces) or not isinstance(is_executable, bool):
        raise BadInput(f"what it says of {path[:80]!r} is no size with digests")
    return File(size, tuple(pieces), is_executable)


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_FILE_BYTES


def _are_digests(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(piece, str) and _DIGEST.fullmatch(piece) for piece in value)
