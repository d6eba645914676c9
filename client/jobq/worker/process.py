"""A job's process: a group of its own, watched by the event loop, ended with everything it started."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import signal
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobq.worker.supervision import Group, Supervision, boot_time

READ_BYTES = 64 * 1024
SMALL_READ = 4 * 1024
"""A terminal gives no more at once."""


@dataclass(slots=True)
class JobProcess:
    """A started process; its standard output and error come to `feed` as they are written."""

    feed: Callable[[bytes], None]
    _supervision: Supervision
    _group: Group
    _pipe: int
    _is_reaped: bool = False

    @classmethod
    async def start(
        cls,
        supervision: Supervision,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        feed: Callable[[bytes], None],
        until: float = math.inf,
        emulate_tty: bool = False,
        source: int | None = None,
    ) -> JobProcess:
        """Raises OSError where the system cannot start it. `until`: of `boot_time`, when it is killed if not kept.

        `source`: a file descriptor for its standard input, which is empty by default.
        """
        reading, writing = _terminal() if emulate_tty else os.pipe()
        try:
            group = await supervision.start(command, env=env, cwd=cwd, output=writing, source=source, until=until)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        process = cls(feed, supervision, group, reading)
        asyncio.get_running_loop().add_reader(reading, process._on_output)
        return process

    @property
    def pid(self) -> int:
        return self._group.pid

    @property
    def is_overdue(self) -> bool:
        """Whether its time is up: the supervisor has killed it, or does so now."""
        return boot_time() >= self._group.until

    @property
    def fate(self) -> None:
        """Nobody else has a part in its end."""

    def keep(self, until: float) -> None:
        if not self._is_reaped:
            self._supervision.keep(self._group, until)

    async def wait(self) -> int | None:
        """The exit code, negative for a signal, once the process has ended; what it left running is killed.

        None if nobody can tell: whoever had to know was killed, too.
        """
        await self._group.ended.wait()
        self.signal_group(signal.SIGKILL)  # before the process is reaped, so that its group's number is still its own
        self._drain()
        self._is_reaped = True
        return self._supervision.reap(self._group)

    def signal_group(self, number: signal.Signals) -> None:
        if not self._is_reaped:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def close(self) -> None:
        """Whatever happened: nothing of the job goes on, and nothing is left to watch."""
        self.signal_group(signal.SIGKILL)
        self._is_reaped = True
        self._supervision.forget(self._group)
        if self._pipe >= 0:
            asyncio.get_running_loop().remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1

    def _on_output(self) -> None:
        try:
            data = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # of a terminal that nobody writes to any more
            data = b""
        if data:
            self.feed(data)
        else:
            asyncio.get_running_loop().remove_reader(self._pipe)

    def _drain(self) -> None:
        """What is in the pipe when the process has ended. No more: a child that left its group may write for ever."""
        with contextlib.suppress(OSError):
            for _ in range(_capacity(self._pipe) // SMALL_READ + 1):
                if data := os.read(self._pipe, READ_BYTES):
                    self.feed(data)


def _capacity(pipe: int) -> int:
    try:
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
    except OSError:  # a terminal
        return READ_BYTES


def _terminal() -> tuple[int, int]:
    """The ends of a pseudo terminal: to one, programs write line by line. What they write arrives unchanged."""
    reading, writing = os.openpty()
    modes = termios.tcgetattr(writing)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(writing, termios.TCSANOW, modes)
    return reading, writing
