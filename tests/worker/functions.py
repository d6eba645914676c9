"""Python callables that the tests let workers call."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobq import current_job

logging.basicConfig(format="%(message)s")


def add(a: int, b: int = 1) -> int:
    print(f"adding {a} and {b}")
    return a + b


async def add_later(a: int, b: int) -> int:
    await asyncio.sleep(0.01)
    return a + b


def fail(text: str) -> None:
    raise ValueError(text)


def who(_job_id: str, _worker_id: str) -> list[str]:
    return [_job_id, _worker_id]


def large(size: int) -> str:
    return "x" * size


def unserializable() -> object:
    return {1, 2}


def spoil() -> None:
    """Leave nonsense where jobq looks for the reason."""
    with open("error.json", "w") as file:  # noqa: PTH123
        file.write('{"reason": "nonsense", "message": "mine"}')
    os._exit(7)


not_a_function = 3


async def say(text: str) -> str:
    """Through every way there is: print, a task of its own, a thread, standard error."""
    print(text, 1)
    await asyncio.sleep(0.05)
    await asyncio.create_task(_say(text))
    await asyncio.to_thread(print, text, 3)
    print(text, 4, file=sys.stderr)
    logging.getLogger("said").warning("%s 5", text)
    return text


async def _say(text: str) -> None:
    await asyncio.sleep(0.05)
    sys.stdout.buffer.write(f"{text} 2 \N{SNOWMAN}\n".encode())


async def doze(seconds: float, file: str = "") -> list[int]:
    """The process's id, after a while."""
    if file:
        Path(file).touch()
    await asyncio.sleep(seconds)
    return [os.getpid()]


async def fail_later(text: str) -> None:
    await asyncio.sleep(0.01)
    raise ValueError(text)


async def exit_with(code: int) -> None:
    await asyncio.sleep(0.01)
    sys.exit(code)


async def misbehave(how: str = "", hold: str = "") -> str:
    """What it is told to do; or wait until the file `hold` is gone."""
    ways = {"": _wait, "exit": _exit, "task": _exit_in_task, "segfault": _crash, "callback": _exit_in_callback}
    ways["socket"] = _write_to_sockets
    await ways[how](hold)
    return "well"


async def _wait(hold: str) -> None:
    while hold and Path(hold).exists():
        await asyncio.sleep(0.02)


async def _exit(_: str) -> None:
    print("last words")
    sys.stdout.flush()
    os._exit(9)


async def _exit_in_task(_: str) -> None:
    await asyncio.gather(_sys_exit())


async def _sys_exit() -> None:
    await asyncio.sleep(0)
    sys.exit(9)


async def _crash(_: str) -> None:
    ctypes.string_at(0)


async def _exit_in_callback(_: str) -> None:
    """Which no step of any task executes."""
    asyncio.get_running_loop().call_soon(os._exit, 9)
    await asyncio.sleep(600)


async def _write_to_sockets(_: str) -> None:
    """What nobody at the other end expects; and hold up the loop, so that it is this call that is killed."""
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if str(file.readlink()).startswith("socket:"):
                os.write(int(file.name), b'{"call": {}}\n[]\nnonsense\n')
    time.sleep(600)


async def block(started: str, hold: str) -> str:
    """Hold up the loop, at the first attempt, until the file `hold` is gone."""
    with Path(started).open("a") as file:
        file.write(f"{current_job().attempt}\n")
    while Path(hold).exists():
        time.sleep(0.05)
    return "well"


async def stubborn_or_wait(file: str = "", hold: str = "") -> None:
    """Never end, whatever happens; or wait until the file `hold` is gone."""
    if hold:
        await _wait(hold)
        return
    Path(file).touch()
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)


async def tidy(file: str) -> str:
    """Clean up when cancelled."""
    try:
        Path(file).touch()
        await asyncio.sleep(600)
    finally:
        await asyncio.sleep(0.01)
        print("preempted" if current_job().is_preempted else "cancelled")
    return "never"


async def leave_task(file: str) -> None:
    """Return, with a task left behind."""

    async def linger() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            Path(file).write_text("ended")

    task = asyncio.create_task(linger())
    await asyncio.sleep(0)
    functions_left.append(task)


functions_left: list[asyncio.Task[None]] = []


async def about_me(hold: str = "") -> dict[str, Any]:
    job = current_job()
    job.progress(0.25, "a quarter\nof it")
    (job.directory / "file").touch()
    await _wait(hold)
    return {
        "id": job.id,
        "attempt": job.attempt,
        "has_deadline": job.deadline is not None and job.deadline > datetime.now(UTC),
        "queue": job.env["JOBQ_QUEUE_NAME"],
        "greeting": os.environ.get("GREETING", ""),
        "pid": os.getpid(),
    }


def about_me_alone() -> dict[str, Any]:
    return asyncio.run(about_me())
