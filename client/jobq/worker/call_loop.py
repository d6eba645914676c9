"""Run calls of an async function side by side: `python -m jobq.worker.call_loop module:function MARK_FILE`.

Standard input is a socket to the worker. Messages are lines of JSON:

    {"call": 7, "control": "/tmp/…", "env": {…}}    call the function, with files as for `jobq.worker.call`
    {"cancel": 7}                                   raise CancelledError in it
    -> {"call": 7, "output": "…"}                   what it has written, a character for each byte
    -> {"call": 7, "code": 0}                       it has ended, as a process with that exit code would have

MARK_FILE says, in eight bytes, which call's code is being executed, 0 for none: who it was if this process dies.
"""

from __future__ import annotations

import asyncio
import io
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import WeakSet

from jobq.worker.call import arguments, failed, load, succeeded
from jobq.worker.current import CURRENT, CurrentJob

READ_BYTES = 64 * 1024
MOST_OUTPUT = 32 * 1024
"""In one message."""
LEFT_SECONDS = 1.0
"""For tasks that a call has left behind, to end when they are cancelled."""


@dataclass(eq=False, slots=True)
class Call:
    number: int
    control: Path
    env: Mapping[str, str]
    say: Callable[..., None]
    tasks: WeakSet[asyncio.Task[Any]] = field(default_factory=WeakSet)
    is_cancelled: bool = False
    is_over: bool = False
    _unsaid: bytearray = field(default_factory=bytearray)
    _lock: RLock = field(default_factory=RLock)

    def write(self, data: bytes) -> None:
        with self._lock:
            self._unsaid += data
            if len(self._unsaid) >= MOST_OUTPUT:
                self.flush()

    def flush(self) -> None:
        with self._lock:
            while piece := bytes(self._unsaid[:MOST_OUTPUT]):
                del self._unsaid[:MOST_OUTPUT]
                self.say(call=self.number, output=piece.decode("latin-1"))

    def end(self, code: int) -> None:
        self.flush()
        self.is_over = True
        self.say(call=self.number, code=code)


CALL: ContextVar[Call | None] = ContextVar("jobq_call", default=None)


class Output(io.RawIOBase):
    """Standard output or error. What a call writes, or a task or thread of its, goes to its job's log."""

    def __init__(self, rest: int) -> None:
        self._rest = rest

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._rest

    def write(self, data: Any) -> int:
        call = CALL.get()
        if call is None or call.is_over:
            return os.write(self._rest, data)
        call.write(bytes(data))
        return len(data)

    def flush(self) -> None:
        if call := CALL.get():
            call.flush()


@dataclass(frozen=True, slots=True)
class Mark:
    memory: mmap.mmap

    @classmethod
    def at(cls, file: Path) -> Mark:
        with file.open("r+b") as opened:
            return cls(mmap.mmap(opened.fileno(), 8))

    def set(self, number: int) -> None:
        self.memory[:] = number.to_bytes(8, "big")


class Marked(Coroutine[Any, Any, Any]):
    """A coroutine of a call, which is marked while it executes."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], number: int, mark: Mark) -> None:
        self._coroutine = coroutine
        self._number = number
        self._mark = mark

    def send(self, value: Any) -> Any:
        return self._step(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)  # what shows where a task stands looks for frames and names

    def _step(self, step: Callable[..., Any], *given: Any) -> Any:
        self._mark.set(self._number)
        try:
            return step(*given)
        except (KeyboardInterrupt, SystemExit) as error:
            code = exit_code(error)
            sys.stdout.flush()
            os._exit(code)  # it would end the loop, and the others with it: so the mark tells who it was
        finally:
            self._mark.set(0)


@dataclass(slots=True)
class CallLoop:
    worker: socket.socket
    function: Callable[..., Coroutine[Any, Any, Any]]
    mark: Mark
    _calls: dict[int, tuple[Call, asyncio.Task[int]]] = field(default_factory=dict)
    _received: bytearray = field(default_factory=bytearray)
    _lock: RLock = field(default_factory=RLock)

    async def run(self) -> None:
        """For ever: the worker ends this process."""
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self._task)
        loop.add_reader(self.worker, self._on_readable)
        await loop.create_future()

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        call = context.get(CALL) if context else CALL.get()
        if call is None:
            return asyncio.Task(coroutine, loop=loop, **options)
        task = asyncio.Task(Marked(coroutine, call.number, self.mark), loop=loop, **options)
        call.tasks.add(task)
        return task

    def _on_readable(self) -> None:
        data = self.worker.recv(READ_BYTES)
        if not data:
            os._exit(1)  # the worker is gone
        self._received += data
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        for line in lines:
            asked = json.loads(line)
            if "cancel" in asked:
                self._cancel(asked["cancel"])
            else:
                self._start(Call(asked["call"], Path(asked["control"]), asked["env"], self._say))

    def _start(self, call: Call) -> None:
        context = copy_context()
        context.run(CALL.set, call)
        context.run(CURRENT.set, CurrentJob(call.env))
        task = asyncio.get_running_loop().create_task(self._run(call), context=context)
        self._calls[call.number] = call, task
        task.add_done_callback(lambda _: self._on_end(call, task))  # also of one that was cancelled before it began

    def _on_end(self, call: Call, task: asyncio.Task[int]) -> None:
        del self._calls[call.number]
        call.end(1 if task.cancelled() or task.exception() else task.result())

    def _cancel(self, number: int) -> None:
        if number in self._calls:
            call, task = self._calls[number]
            call.is_cancelled = True
            task.cancel()

    async def _run(self, call: Call) -> int:
        code = await self._code(call)
        left = [task for task in call.tasks if task is not asyncio.current_task() and not task.done()]
        for task in left:
            task.cancel()
        if left:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(left, timeout=LEFT_SECONDS)
        return code

    async def _code(self, call: Call) -> int:
        try:
            kwargs = arguments(self.function, call.control, call.env)
        except Exception as error:
            return failed(call.control, error, is_undecodable=True)
        try:
            return succeeded(call.control, await self.function(**kwargs))
        except SystemExit as error:
            return exit_code(error)
        except asyncio.CancelledError as error:
            return 1 if call.is_cancelled else failed(call.control, error)
        except Exception as error:
            return failed(call.control, error)

    def _say(self, **message: object) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock, suppress(OSError):  # it is gone: the next message says so
            self.worker.sendall(data)


def exit_code(error: KeyboardInterrupt | SystemExit) -> int:
    """As a process would have it."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 255
    print(error.code, file=sys.stderr)
    return 1


def main() -> None:
    worker = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:  # noqa: PTH123  # a device
        os.dup2(nothing.fileno(), 0)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(Output(rest), "utf-8", "backslashreplace", line_buffering=True, write_through=True)  # type: ignore[type-var]  # raw is fine
        for rest in (1, 2)
    )
    function, mark = load(sys.argv[1]), Mark.at(Path(sys.argv[2]))
    asyncio.run(CallLoop(worker, function, mark).run())


if __name__ == "__main__":
    main()
