"""Jobs as they come, a line each, in windows: what has come is pushed even if the next line takes its time."""

from __future__ import annotations

import io
import os
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from jobq.errors import BadInput
from jobq.model.job import NewJob
from jobq.model.names import id_in_batch
from jobq.model.submission import is_skipped

MAX_JOBS = 1000
MAX_BYTES = 16_000_000
"""Of a window's lines, and of one line."""

PAUSE_SECONDS = 0.5
"""A window that is not full waits no longer than this for its next line."""

_PIECE = 1 << 16

Parse = Callable[[str, int], NewJob]
"""Text and line number to job. Raises BadInput."""


@dataclass(slots=True)
class Window:
    jobs: list[NewJob] = field(default_factory=list)
    problem: str = ""
    """Why the line after these is refused; nothing comes after it."""
    bytes: int = 0


def windows(stream: BinaryIO, parse: Parse, *, batch: str, source: str) -> Iterator[Window]:
    """Every job up to the first line that is refused. Blank lines and comments are counted, and skipped."""
    window, names = Window(), _Names(batch)
    for number, line in enumerate_lines(stream):
        if line is None:
            if window.jobs:
                yield window
                window = Window()
            continue
        try:
            text = _decoded(line, is_first=number == 1)
            if is_skipped(text):
                continue
            job = parse(text, number)
            names.add(job.id, number)
        except BadInput as error:
            window.problem = f"{source}, line {number}: {error}: {_shown(line)}"
            yield window
            return
        window.jobs.append(job)
        window.bytes += len(line)
        if len(window.jobs) >= MAX_JOBS or window.bytes >= MAX_BYTES:
            yield window
            window = Window()
    if window.jobs:
        yield window


def enumerate_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines from 1 on, with their ends; None where none came for a while. Raises BadInput for an endless one."""
    number, rest = 1, bytearray()
    for piece in _pieces(stream):
        if piece is None:
            yield number, None
            continue
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            yield number, bytes(rest) + piece[start : end + 1]
            rest.clear()
            number, start = number + 1, end + 1
        rest += piece[start:]
        if len(rest) > MAX_BYTES:
            raise BadInput(f"line {number} is over {MAX_BYTES:,} bytes long; is this a text file with a job per line?")
    if rest:
        yield number, bytes(rest)


def _pieces(stream: BinaryIO) -> Iterator[bytes | None]:
    try:
        descriptor = stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        yield from iter(lambda: stream.read(_PIECE), b"")
        return
    while True:
        # Only a pipe or a terminal makes us wait; Windows cannot tell.
        while os.name != "nt" and not select.select([descriptor], [], [], PAUSE_SECONDS)[0]:
            yield None
        piece = os.read(descriptor, _PIECE)
        if not piece:
            return
        yield piece


class _Names:
    """Ids that people gave, with their lines: a line that repeats one would otherwise pass for a job that is there.

    Those made from batch and line number are not kept, so that a push takes no memory.
    """

    def __init__(self, batch: str) -> None:
        self._batch = batch
        self._lines: dict[str, int] = {}

    def add(self, job_id: str, line: int) -> None:
        first = self._lines.get(job_id) or self._made_at(job_id, line)
        if first is not None and first != line:
            raise BadInput(f"the id {job_id!r} is that of line {first} too")
        if job_id != id_in_batch(self._batch, line):
            self._lines[job_id] = line

    def _made_at(self, job_id: str, line: int) -> int | None:
        """The line before this one whose own id it is."""
        digits = job_id.removeprefix(f"{self._batch}-")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 12 else 0
        return number if 0 < number < line and job_id == id_in_batch(self._batch, number) else None


def _decoded(line: bytes, *, is_first: bool) -> str:
    try:
        return line.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 at byte {error.start + 1}") from error


def _shown(line: bytes) -> str:
    text = line.decode("utf-8", "backslashreplace").strip()
    return repr(text if len(text) <= 80 else text[:79] + "…")
