"""A job's output: copied to the terminal with a prefix, kept as a log blob, its last lines kept for the job's row."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.logs import TIMES, LogTimes
from jobq.core.ports import BlobStore
from jobq.errors import JobqError
from jobq.model.durations import utc_now
from jobq.model.job import TAIL_CHARS
from jobq.worker.terminal import Writer

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
HEAD_BYTES = 16 * 1024 * 1024
"""Of an attempt's output, this much from its beginning and TAIL_BYTES from its end are stored."""
TAIL_BYTES = 64 * 1024
LONGEST_LINE = 8 * 1024
TRIES = 3
TIMES_EVERY = timedelta(seconds=30)
"""So often it is stored when the output came; so, for a shorter job, never."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class Output:
    """What one attempt writes. `feed` and `store_soon` never wait; `close` does, until the blob is written."""

    blobs: BlobStore
    key: str
    prefix: bytes
    terminal: Writer | None
    now: Callable[[], datetime] = utc_now
    size: int = 0
    _unstored: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)
    _line: bytearray = field(default_factory=bytearray)
    _stored: int = 0
    _storing: asyncio.Future[None] | None = None
    _line_start: int = 0
    """Of the last line, in the log."""
    _times: LogTimes = field(default_factory=LogTimes)
    _times_stored_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._times_stored_at = self.now()  # there are none to store at first

    def feed(self, data: bytes) -> None:
        room = HEAD_BYTES - self.size
        if end := data.rfind(b"\n") + 1:
            self._line_start = min(self.size + end, HEAD_BYTES)
        self.size += len(data)
        if room > 0:
            self._unstored += data[:room]
        self._tail += data
        del self._tail[:-TAIL_BYTES]
        if self.terminal:
            self._show(data)

    @property
    def tail(self) -> str:
        """The last lines as plain text, at most TAIL_CHARS characters."""
        text = _ESCAPES.sub("", self._tail.decode(errors="replace"))
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))  # as a terminal shows it
        text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text).rstrip("\n")
        return text[-TAIL_CHARS:]

    def store_soon(self) -> None:
        """Begin to append what has come since the last time. Trouble is logged, and tried again the next time."""
        if self._storing is not None and not self._storing.done():
            return
        if data := bytes(self._unstored):
            self._times.note(self.now(), self._line_start)
        self._storing = asyncio.ensure_future(self._store(data)) if data or self._are_times_due else None

    async def close(self) -> str:
        """Store the rest; the blob's key, or "" if there was no output or it could not be stored."""
        self._show_rest()
        if self._storing:
            await self._storing
        if self.size > HEAD_BYTES:
            left_out = max(0, self.size - HEAD_BYTES - TAIL_BYTES)
            self._unstored += f"\n... {left_out} bytes left out ...\n".encode() if left_out else b""
            self._unstored += self._tail[-(self.size - HEAD_BYTES) :]
        for _ in range(TRIES):
            if self._unstored:
                await self._write(self.blobs.append if self._stored else self.blobs.put, bytes(self._unstored))
        return self.key if self._stored else ""

    def abandon(self) -> None:
        """Store nothing more, and wait for nothing."""
        self._show_rest()
        if self._storing:
            self._storing.cancel()

    async def _store(self, data: bytes) -> None:
        if data:
            await self._write(self.blobs.append, data)
        if self._are_times_due:
            self._times_stored_at = self.now()
            await self._store_times()

    @property
    def _are_times_due(self) -> bool:
        return self._times.is_changed and self.now() - self._times_stored_at >= TIMES_EVERY

    async def _store_times(self) -> None:
        try:
            await self.blobs.put(f"{self.key}{TIMES}", self._times.encoded())
        except JobqError as error:
            self._times.is_changed = True
            logger.warning("could not store when the output in %s came: %s", self.key, error)

    async def _write(self, write: Callable[[str, bytes], Awaitable[None]], data: bytes) -> None:
        try:
            await write(self.key, data)
        except JobqError as error:
            logger.warning("could not store output in %s: %s", self.key, error)
        else:
            self._stored += len(data)
            del self._unstored[: len(data)]

    def _show(self, data: bytes) -> None:
        self._line += data
        *lines, rest = self._line.split(b"\n")
        self._line = bytearray(rest)
        for line in lines:
            self._print(line)
        while len(self._line) > LONGEST_LINE:
            self._print(self._line[:LONGEST_LINE])
            del self._line[:LONGEST_LINE]

    def _show_rest(self) -> None:
        if self._line:
            self._print(self._line)
            self._line.clear()

    def _print(self, line: bytes | bytearray) -> None:
        if self.terminal is None:
            return
        try:
            self.terminal.write(bytes(self.prefix + line + b"\n"))
            self.terminal.flush()
        except OSError:  # the terminal is gone; the log is not
            self.terminal = None
            self._line.clear()
