"""The worker's own standard output, written by a thread: one that is not read (`| less`, Ctrl-S) must stop nothing."""

from __future__ import annotations

import queue
import threading
from typing import BinaryIO, Protocol

MOST_LINES = 2000
CLOSE_SECONDS = 2.0


class Writer(Protocol):
    """Where the jobs' lines are copied to."""

    def write(self, data: bytes, /) -> int:
        """Raises OSError when nobody will ever read it."""
        ...

    def flush(self) -> None: ...


class Terminal:
    """Takes lines without ever waiting. Those that do not fit are counted, and left out; the jobs' logs have them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[bytes | None] = queue.Queue(MOST_LINES)
        self._left_out = 0
        self._is_gone = False
        self._thread = threading.Thread(target=self._copy, name="terminal", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> int:
        if self._is_gone:
            raise BrokenPipeError("the terminal is gone")
        note = f"... {self._left_out} lines not shown ...\n".encode() if self._left_out else b""
        try:
            self._lines.put_nowait(note + data)
            self._left_out = 0
        except queue.Full:
            self._left_out += 1
        return len(data)

    def flush(self) -> None:
        """The thread does."""

    def close(self) -> None:
        """Let it write what it has, for a moment."""
        try:
            self._lines.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)
        except queue.Full:
            pass

    def _copy(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                self._stream.write(line)
                if self._lines.empty():
                    self._stream.flush()
            self._stream.flush()
        except (OSError, ValueError):  # closed, at the other end or at this one
            self._is_gone = True
