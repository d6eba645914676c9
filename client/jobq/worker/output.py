"""A job's output: copied to the terminal with a prefix, kept as a log blob, its last lines kept for the job's row."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from jobq.core.ports import BlobStore
from jobq.errors import JobqError
from jobq.model.job import TAIL_CHARS
from jobq.worker.terminal import Writer

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
HEAD_BYTES = 16 * 1024 * 1024
"""Of an attempt's output, this much from its beginning and TAIL_BYTES from its end are stored."""
TAIL_BYTES = 64 * 1024
LONGEST_LINE = 8 * 1024
TRIES = 3

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class Output:
    """What one attempt writes. `feed` and `store_soon` never wait; `close` does, until the blob is written."""

    blobs: BlobStore
    key: str
    prefix: bytes
    terminal: Writer | None
    size: int = 0
    _unstored: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)
    _line: bytearray = field(default_factory=bytearray)
    _stored: int = 0
    _storing: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        room = HEAD_BYTES - self.size
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
        if self._unstored and (self._storing is None or self._storing.done()):
            self._storing = asyncio.ensure_future(self._write(self.blobs.append, bytes(self._unstored)))

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
