"""The worker's end of its supervisor: one is started, told of deadlines, and replaced when a job has killed it."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from jobq.model.names import new_token
from jobq.settings import inherited_environment
from jobq.worker import supervisor

logger = logging.getLogger(__name__)

MOST_FUTILE = 3
"""Supervisors in a row that died before they were up: then none can be had, for now."""
MOST_STARTS = 20
"""A job that kills its parent at once may be quicker than the answer that it was started, on a busy machine often."""
READ_BYTES = 64 * 1024


class SupervisorLost(Exception):
    """It died, or was killed, with a question open."""


@dataclass(slots=True)
class Group:
    """A job's process group, as the supervisor has to know it."""

    pid: int
    mark: str
    until: float
    """Of `boot_time`: when it is killed, unless it is kept."""
    code: int | None = None
    """Of its first process, when that has ended, unless it has to be asked for."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_orphan: bool = False
    """Its supervisor is no more, so this process is its parent."""


@dataclass(slots=True)
class Supervision:
    """Usable in one event loop. The supervisor is started by `open`, or with the first job."""

    _prefix: str = field(default_factory=lambda: f"{os.getpid()}-{new_token()}.")
    _generations: count[int] = field(default_factory=lambda: count(1))
    _base: dict[str, str] = field(default_factory=inherited_environment)
    """The supervisor's own environment; its children can read it."""
    _process: subprocess.Popen[bytes] | None = None
    _socket: socket.socket | None = None
    _questions: deque[asyncio.Future[dict[str, Any]]] = field(default_factory=deque)
    _unsent: deque[tuple[bytes, list[int]]] = field(default_factory=deque)
    """Messages, or what is left of one, with the file descriptors that go along: our own, closed when it is sent."""
    _received: bytearray = field(default_factory=bytearray)
    _groups: dict[int, Group] = field(default_factory=dict)
    _futile: int = 0

    def open(self) -> None:
        """Raises OSError where the system cannot start a process. Returns before the supervisor is up."""
        if self._socket is not None:
            return
        if self._futile >= MOST_FUTILE:
            self._futile = 0  # whoever asks again later tries again
            raise OSError(errno.EAGAIN, "the process that starts the jobs cannot be started")
        self._futile += 1
        ours, theirs = socket.socketpair()
        with theirs:
            mark = f"{self._prefix}{next(self._generations)}"
            program = [sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno()), self._prefix, mark]
            try:
                self._process = subprocess.Popen(  # noqa: S603  # our own program
                    program,
                    env=self._base,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        self._socket = ours
        _be_subreaper(True)  # so that jobs whose supervisor is killed come to this process
        asyncio.get_running_loop().add_reader(ours, self._on_readable)

    async def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        output: int,
        source: int | None = None,
        until: float,
    ) -> Group:
        """Raises OSError where the system cannot start it. `output` is the file descriptor for what it writes, `source`
        its standard input (by default empty).

        Raises SupervisorLost where it has been tried often enough: what is started may kill its parent at once.
        """
        for _ in range(MOST_STARTS):
            self.open()
            asked = {
                "do": "start",
                "command": list(command),
                "env": {name: value for name, value in env.items() if self._base.get(name) != value},
                "unset": [name for name in self._base if name not in env],
                "cwd": str(cwd),
                "until": until,
            }
            try:
                answer = await self._ask(asked, [output] if source is None else [output, source])
            except SupervisorLost:
                continue  # what it may have started the next one has ended
            if "pid" not in answer:
                raise OSError(answer["errno"], answer["error"])
            return self._groups[answer["pid"]]
        raise SupervisorLost

    def keep(self, group: Group, until: float) -> None:
        """The group has more time."""
        group.until = until
        self._tell({"do": "keep", "pid": group.pid, "until": until})

    def reap(self, group: Group) -> int | None:
        """The exit code of a process that has ended, negative for a signal; nothing it has left goes on.

        None where nobody can tell any more.
        """
        self.forget(group)
        if group.is_orphan:
            with suppress(ChildProcessError):
                group.code = os.waitstatus_to_exitcode(os.waitpid(group.pid, 0)[1])
        return group.code

    def forget(self, group: Group) -> None:
        """End it, whatever becomes of it."""
        if self._groups.pop(group.pid, None):
            self._tell({"do": "forget", "pid": group.pid})

    async def close(self) -> None:
        """The supervisor ends, with all that still runs."""
        process = self._drop()
        for group in self._groups.values():
            group.ended.set()
        if process is not None:
            await asyncio.to_thread(process.wait)
            _be_subreaper(False)

    def _ask(self, message: dict[str, Any], files: Sequence[int]) -> asyncio.Future[dict[str, Any]]:
        answer = asyncio.get_running_loop().create_future()
        self._questions.append(answer)
        self._tell(message, files)
        return answer

    def _tell(self, message: dict[str, Any], files: Sequence[int] = ()) -> None:
        if self._socket is None:
            return
        data = json.dumps(message).encode()
        self._unsent.append((len(data).to_bytes(4, "big") + data, [os.dup(file) for file in files]))
        self._send()

    def _send(self) -> None:
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        try:
            while self._unsent:
                data, files = self._unsent[0]
                sent = socket.send_fds(self._socket, [data], files)
                self._unsent.popleft()
                for file in files:
                    os.close(file)
                if sent < len(data):
                    self._unsent.appendleft((data[sent:], []))
        except BlockingIOError:
            loop.add_writer(self._socket, self._send)
            return
        except OSError:
            return  # it is gone, which the next read says
        loop.remove_writer(self._socket)

    def _on_readable(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._on_lost()
            return
        self._received += data
        while len(self._received) >= (end := 4 + int.from_bytes(self._received[:4], "big")):
            answer = json.loads(self._received[4:end])
            del self._received[:end]
            self._on_answer(answer)

    def _on_answer(self, answer: dict[str, Any]) -> None:
        if "ready" in answer:
            self._futile = 0
            return
        if "ended" in answer:
            group = self._groups.get(answer["ended"])
            if group and not group.ended.is_set():
                group.code = answer["code"]
                group.ended.set()
            return
        question = self._questions.popleft()
        if "pid" in answer:
            group = self._groups[answer["pid"]] = Group(**answer)
            if question.done():  # whoever asked for it is gone
                self.forget(group)
        if not question.done():
            question.set_result(answer)

    def _on_lost(self) -> None:
        """A job that kills its parent must harm no other: the next supervisor takes over what runs."""
        questions, self._questions = self._questions, deque()
        process = self._drop()
        if process is not None:
            process.wait()  # then its children are ours
            logger.warning("the process that starts the jobs ended with %s; starting another", process.returncode)
        for group in self._groups.values():
            group.is_orphan = True
        failure: Exception = SupervisorLost()
        try:
            self.open()
            groups = [(group.pid, group.until, group.mark) for group in self._groups.values()]
            self._tell({"do": "adopt", "groups": groups})
        except OSError as error:
            failure = error
            logger.error("could not start the process that starts the jobs: %s", error)
            for group in self._groups.values():  # nobody would end it in time
                with suppress(ProcessLookupError):
                    os.killpg(group.pid, signal.SIGKILL)
                group.ended.set()
        for question in questions:
            if not question.done():
                question.set_exception(failure)

    def _drop(self) -> subprocess.Popen[bytes] | None:
        """Let go of the supervisor there was."""
        loop = asyncio.get_running_loop()
        if self._socket is not None:
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
            self._socket.close()
            self._socket = None
        for file in (file for _, files in self._unsent for file in files):
            os.close(file)
        self._unsent.clear()
        self._received.clear()
        process, self._process = self._process, None
        return process


def boot_time(seconds_from_now: float = 0.0) -> float:
    """On the clock that deadlines are told in, which goes on while the machine sleeps."""
    return supervisor.now() + seconds_from_now


def _be_subreaper(value: bool) -> None:
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(supervisor.SET_CHILD_SUBREAPER, int(value), 0, 0, 0)
