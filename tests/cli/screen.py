"""A process on a terminal of its own, and what a person would see there: only as much of a terminal as `rich` uses."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence

from tests.cli.terminal import RUN, environment

_PART = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<verb>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n]+)")


class Screen:
    """`lines`: from the top; lines that have left it at the top are in `scrolled`."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.lines = [""] * height
        self.scrolled: list[str] = []
        self.is_cursor_hidden = False
        self._row = self._column = 0

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip("\n")

    def resize(self, width: int, height: int) -> None:
        """Lines that are too long now are broken anew, as most terminals do; short ones stay as they are."""
        written = self.lines[: self._row + 1]
        rows = [line[i : i + width] for line in written for i in range(0, max(1, len(line)), width)]
        self.scrolled += rows[:-height]
        self.lines = (rows[-height:] + [""] * height)[:height]
        self.width, self.height, self._row = width, height, min(len(rows), height) - 1
        self._column = min(self._column, width)

    def write(self, text: str) -> str:
        """Returns what is not complete yet."""
        done = 0
        for part in _PART.finditer(text):
            if part.start() != done:
                break
            done = part.end()
            if part["text"]:
                self._put(part["text"])
            elif part["control"] == "\r":
                self._column = 0
            elif part["control"]:
                self._next_row()
            else:
                self._obey(part["verb"], part["number"])
        assert len(text) - done < 20, f"not understood: {text[done:]!r}"
        return text[done:]

    def _put(self, text: str) -> None:
        for letter in text:
            if self._column == self.width:
                self._column = 0
                self._next_row()
            line = self.lines[self._row].ljust(self._column)
            self.lines[self._row] = line[: self._column] + letter + line[self._column + 1 :]
            self._column += 1

    def _next_row(self) -> None:
        if self._row == self.height - 1:
            self.scrolled.append(self.lines.pop(0))
            self.lines.append("")
        else:
            self._row += 1

    def _obey(self, verb: str, number: str) -> None:
        if verb == "A":
            self._row = max(0, self._row - int(number or 1))
        elif verb == "H":
            self._row = self._column = 0
        elif verb == "J":
            self.lines = [""] * self.height
        elif verb == "K":
            self.lines[self._row] = ""
        elif verb in "hl":
            self.is_cursor_hidden = verb == "l"
        else:
            assert verb == "m", f"not understood: {number}{verb}"


class OnScreen:
    """`jobq …`, or another command, on a terminal of a size; a context manager that ends it."""

    def __init__(
        self, *arguments: str, width: int = 80, height: int = 24, run: Sequence[str] = RUN, **env: str
    ) -> None:
        self.screen = Screen(width, height)
        self._terminal, other = pty.openpty()
        self._set_size()
        self._rest = b""
        self.process = subprocess.Popen(
            [*run, *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**environment(), "TERM": "xterm-256color", **env},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
        )
        os.close(other)

    def __enter__(self) -> OnScreen:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)

    def until(self, condition: Callable[[Screen], bool], *, within: float = 30) -> None:
        """Read on until the screen is so."""
        deadline = time.monotonic() + within
        while not condition(self.screen):
            assert time.monotonic() < deadline, f"it did not come true in time:\n{self.screen.text}"
            assert self._read(0.1), f"the process ended before:\n{self.screen.text}"

    def end(self, *, within: float = 30) -> int:
        """Read until the process has ended; its exit code."""
        deadline = time.monotonic() + within
        while self._read(0.1):
            assert time.monotonic() < deadline, f"it did not end in time:\n{self.screen.text}"
        return self.process.wait(timeout=within)

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def resize(self, width: int, height: int) -> None:
        self.screen.resize(width, height)
        self._set_size()

    def _set_size(self) -> None:
        size = struct.pack("HHHH", self.screen.height, self.screen.width, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def _read(self, seconds: float) -> bool:
        """False when the terminal is closed."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return True
        try:
            data = self._rest + os.read(self._terminal, 65536)
        except OSError:
            return False
        text = data.decode(errors="ignore")
        self._rest = self.screen.write(text).encode() + data[len(text.encode()) :]
        return True
