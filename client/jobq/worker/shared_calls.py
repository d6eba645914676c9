"""The worker's end of `call_loop`: calls of an async function that share a process, each like a process of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from jobq.model.job import Reason
from jobq.worker.directory import JobDirectory
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision, boot_time
from jobq.worker.terminal import Writer

logger = logging.getLogger(__name__)

CANCEL_SECONDS = 1.0
"""No call is the death of its process sooner after it was cancelled."""
LAST_WORDS_SECONDS = 1.0
"""For what a process has said before it ended."""
MOST_RECEIVED = 1024 * 1024
"""Bytes of a message."""


@dataclass(eq=False, slots=True)
class SharedCall:
    """A call as its attempt sees it: SIGTERM cancels it, and SIGKILL is the end of its whole process."""

    number: int
    job_id: str
    until: float
    feed: Callable[[bytes], None]
    home: CallProcess
    fate: tuple[Reason, str] | None = None
    ended: asyncio.Future[int | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _killing: asyncio.TimerHandle | None = None
    _cancelled_at: float | None = None

    @property
    def is_overdue(self) -> bool:
        return boot_time() >= self.until

    def keep(self, until: float) -> None:
        self.until = until
        self.home.keep()

    async def wait(self) -> int | None:
        await asyncio.wait((self.ended, self.home.watching), return_when=asyncio.FIRST_COMPLETED)
        if self._killing:
            self._killing.cancel()
        if not self.ended.done():
            await self.home.watching  # it has failed, and says why
            return None
        return self.ended.result()

    def signal_group(self, number: signal.Signals) -> None:
        if self.ended.done() or number not in (signal.SIGTERM, signal.SIGKILL):
            return
        loop = asyncio.get_running_loop()
        if self._cancelled_at is None:
            self._cancelled_at = loop.time()
            self.home.tell(cancel=self.number)
        if number == signal.SIGKILL and self._killing is None:
            self._killing = loop.call_at(self._cancelled_at + CANCEL_SECONDS, self.home.kill, self)

    def close(self) -> None:
        self.signal_group(signal.SIGKILL)


@dataclass(eq=False, slots=True)
class CallProcess(asyncio.Protocol):
    """One process, and the calls in it."""

    directory: JobDirectory
    process: JobProcess
    rest: Rest
    calls: dict[int, SharedCall] = field(default_factory=dict)
    is_over: bool = False
    watching: asyncio.Future[None] = field(init=False)
    _transport: asyncio.WriteTransport = field(init=False)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _killed_for: SharedCall | None = None
    _received: bytearray = field(default_factory=bytearray)
    _hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def start(cls, supervision: Supervision, reference: str, env: Mapping[str, str], rest: Rest) -> CallProcess:
        """Raises OSError where the system cannot start it."""
        async with AsyncExitStack() as undo:
            directory = JobDirectory.make()
            undo.push_async_callback(directory.remove)
            mark = directory.root / "mark"
            mark.write_bytes(bytes(8))
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            with theirs:
                process = await JobProcess.start(
                    supervision,
                    [sys.executable, "-m", "jobq.worker.call_loop", reference, str(mark)],
                    env=env,
                    cwd=directory.work,
                    feed=rest.feed,
                    source=theirs.fileno(),
                )
            undo.callback(process.close)
            ours.setblocking(False)
            self = cls(directory, process, rest)
            self._transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)
            undo.pop_all()
        self.watching = asyncio.ensure_future(self._watch())
        return self

    def call(self, control: Path, env: Mapping[str, str], feed: Callable[[bytes], None], until: float) -> SharedCall:
        call = SharedCall(next(self._numbers), env["JOBQ_JOB_ID"], until, feed, self)
        self.calls[call.number] = call
        self.keep()
        self.tell(call=call.number, control=str(control), env=dict(env))
        return call

    def keep(self) -> None:
        """It has as much time as the call that has the least: the supervisor ends it at the end of any lease."""
        until = min((call.until for call in self.calls.values()), default=float("inf"))
        self.process.keep(until)

    def tell(self, **message: object) -> None:
        self._transport.write(json.dumps(message).encode() + b"\n")

    def kill(self, call: SharedCall) -> None:
        """For a call that does not end."""
        if not call.ended.done():
            self._killed_for = self._killed_for or call
            self.process.signal_group(signal.SIGKILL)

    def data_received(self, data: bytes) -> None:
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        try:
            for line in lines:
                self._on_message(json.loads(line))
            if len(rest) > MOST_RECEIVED:
                raise ValueError("a message without an end")
        except (ValueError, TypeError, KeyError, AttributeError) as error:  # a job has found the socket
            logger.warning("ended the process that calls share, which speaks nonsense: %s", error)
            self.process.signal_group(signal.SIGKILL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hung_up.set()
        self.process.signal_group(signal.SIGKILL)

    def _on_message(self, message: dict[str, Any]) -> None:
        call = self.calls.get(message["call"])
        if call is None:
            return
        if "output" in message:
            call.feed(message["output"].encode("latin-1"))
        else:
            self._settle(call, int(message["code"]))

    def _settle(self, call: SharedCall, code: int | None) -> None:
        del self.calls[call.number]
        call.ended.set_result(code)
        self.keep()

    async def _watch(self) -> None:
        try:
            code = await self.process.wait()
            self.is_over = True
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self._hung_up.wait()
            self._bury(code)
        finally:
            self.is_over = True
            self._transport.abort()
            self.process.close()
            await self.directory.remove()

    def _bury(self, code: int | None) -> None:
        """The end of the process is that of its calls: of one by its own doing, if that can be told."""
        is_overdue = self.process.is_overdue
        culprit = None if is_overdue else self._killed_for or self.calls.get(self._marked())
        if culprit:
            culprit.feed(bytes(self.rest.tail))
        for call in list(self.calls.values()):
            if call is not culprit and not call.is_overdue:
                call.fate = _fate(culprit.job_id if culprit else "", is_overdue=is_overdue)
            self._settle(call, -signal.SIGKILL if code is None else code)

    def _marked(self) -> int:
        with suppress(OSError):
            return int.from_bytes((self.directory.root / "mark").read_bytes(), "big")
        return 0


def _fate(culprit: str, *, is_overdue: bool) -> tuple[Reason, str]:
    """Of a call whose process ended, not by its own doing."""
    if is_overdue:
        return (
            Reason.PREEMPTED,
            "the process that it shared with other calls was killed at the end of a lease of theirs",
        )
    if culprit:
        return Reason.PREEMPTED, f"the process that it shared with other calls ended with job {culprit}"
    return Reason.LOST, "the process that it shared with other calls ended, and nobody can tell whose doing that was"


@dataclass(slots=True)
class Rest:
    """What a process writes that is no call's, or can be told of none: shown, and its end kept."""

    terminal: Writer | None
    tail: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        self.tail += data
        del self.tail[:-4000]
        if self.terminal:
            with suppress(OSError):
                for line in data.splitlines():
                    self.terminal.write(b"[calls] " + line + b"\n")
                self.terminal.flush()


@dataclass(slots=True)
class SharedCalls:
    """The process is started for the first call, and for the next one after it has ended."""

    reference: str
    env: Mapping[str, str]
    terminal: Writer | None = None
    _process: CallProcess | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def process(self, supervision: Supervision) -> CallProcess:
        async with self._starting:
            if self._process is None or self._process.is_over:
                self._process = await CallProcess.start(supervision, self.reference, self.env, Rest(self.terminal))
            return self._process

    async def close(self) -> None:
        """After the supervisor, which has ended the process."""
        if self._process:
            await asyncio.wait([self._process.watching])


@dataclass(frozen=True, slots=True)
class SharedProgram:
    calls: SharedCalls
    control: Path
    env: Mapping[str, str]

    async def start(
        self, supervision: Supervision, *, cwd: Path, feed: Callable[[bytes], None], until: float, emulate_tty: bool
    ) -> SharedCall:
        """In a directory and on a standard output that all calls share."""
        process = await self.calls.process(supervision)
        return process.call(self.control, self.env, feed, until)
