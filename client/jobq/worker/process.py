"""A job's process: a group of its own, watched by the event loop, ended with everything it started."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

READ_BYTES = 64 * 1024


@dataclass(slots=True)
class JobProcess:
    """A started process; its standard output and error come to `feed` as they are written."""

    popen: subprocess.Popen[bytes]
    feed: Callable[[bytes], None]
    _pidfd: int
    _pipe: int
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def start(
        cls, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, feed: Callable[[bytes], None]
    ) -> JobProcess:
        """Raises OSError where the system cannot start it. The call takes about a millisecond."""
        reading, writing = os.pipe()
        try:
            popen = subprocess.Popen(  # noqa: S603  # running what people push is what a worker is for
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        os.set_blocking(reading, False)
        process = cls(popen, feed, os.pidfd_open(popen.pid), reading)
        loop = asyncio.get_running_loop()
        loop.add_reader(process._pidfd, process._on_end)
        loop.add_reader(reading, process._on_output)
        return process

    async def wait(self) -> int:
        """The exit code, negative for a signal, once the process has ended; what it left running is killed."""
        await self._ended.wait()
        self.signal_group(signal.SIGKILL)  # before the process is reaped, so that its group's number is still its own
        self._drain()
        return self.popen.wait()

    def signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)

    def close(self) -> None:
        """Whatever happened: nothing of the job goes on, and nothing is left to watch."""
        loop = asyncio.get_running_loop()
        if self.popen.returncode is None:
            self.signal_group(signal.SIGKILL)
            self.popen.wait()
        if self._pipe >= 0:
            loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._pipe = -1
        if self._pidfd >= 0:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._ended.set()

    def _on_output(self) -> None:
        try:
            data = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self.feed(data)
        else:
            asyncio.get_running_loop().remove_reader(self._pipe)

    def _drain(self) -> None:
        """What is in the pipe when the process has ended. No more: a child that left its group may write for ever."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(fcntl.fcntl(self._pipe, fcntl.F_GETPIPE_SZ) // READ_BYTES + 1):
                if data := os.read(self._pipe, READ_BYTES):
                    self.feed(data)
