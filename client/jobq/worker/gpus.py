"""How busy this machine's GPUs are, as `nvidia-smi` says."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass

from jobq.model.counts import Gpu
from jobq.settings import inherited_environment

logger = logging.getLogger(__name__)

ASK_SECONDS = 30.0
FAILED_SECONDS = 600.0
"""Until it is asked again after it has failed."""
PATIENCE_SECONDS = 10.0
"""For one answer; it takes a second or two where the driver has to be woken."""
MOST_BYTES = 64 * 1024

_QUESTION = ("--query-gpu=name,utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")


@dataclass(slots=True)
class GpuWatch:
    """`run` it beside the worker: whoever wants to know reads `gpus`, and waits for nothing."""

    patience_seconds: float = PATIENCE_SECONDS
    gpus: tuple[Gpu, ...] = ()
    """As of late; none where there are none, or where nobody can tell."""

    async def run(self) -> None:
        """For ever; not at all on a machine without `nvidia-smi`."""
        program = shutil.which("nvidia-smi")
        while program:
            try:
                self.gpus, wait = parse_gpus(await self._ask(program)), ASK_SECONDS
            except (OSError, ValueError, RuntimeError) as error:  # the last: no room for a thread
                self.gpus, wait = (), FAILED_SECONDS
                logger.warning("nvidia-smi does not say how busy the GPUs are: %s", str(error) or "no answer in time")
            await asyncio.sleep(wait)

    async def _ask(self, program: str) -> str:
        """What it writes. Raises OSError, TimeoutError, ValueError."""
        process = await asyncio.create_subprocess_exec(
            program,
            *_QUESTION,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=inherited_environment(),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self.patience_seconds):
                written = await _all_of(process)
                if code := await process.wait():
                    raise ValueError(f"it ended with {code}")
                return written
        finally:
            if process.returncode is None:
                await _kill(process)


def parse_gpus(written: str) -> tuple[Gpu, ...]:
    """One GPU a line: its name, its use in per cent, MiB of its memory in use, and of all. Raises ValueError."""
    rows = [line.rsplit(",", 3) for line in written.splitlines() if line.strip()]
    if any(len(row) < 4 for row in rows):
        raise ValueError("its answer is none")
    return tuple(Gpu(name.strip(), _part(use, "100"), _part(used, total)) for name, use, used, total in rows)


def _part(number: str, whole: str) -> float | None:
    """None for what is not known: `[N/A]`, `[Not Supported]`."""
    try:
        return round(float(number) / float(whole), 2)
    except (ValueError, ZeroDivisionError):
        return None


async def _all_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    try:
        await process.stdout.readexactly(MOST_BYTES)
    except asyncio.IncompleteReadError as whole:
        return whole.partial.decode(errors="replace")
    raise ValueError("its answer has no end")


async def _kill(process: asyncio.subprocess.Process) -> None:
    """With what it has started. One that hangs in the kernel is left to it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await process.communicate()  # to the end of its output: else its pipe stays open
