"""One attempt at one job: from its own directory and environment to its outcome."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from jobq.model.job import Job, Json, Outcome, Reason
from jobq.worker.output import FLUSH_SECONDS, Output
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision, SupervisorLost, boot_time

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What a job's process executes."""

    command: Sequence[str]
    env: Mapping[str, str]
    control: Path | None = None
    """Where a Python callable's process leaves `result.json` and `error.json`."""
    cwd: Path | None = None
    """Where it runs, if not in the attempt's directory itself."""


@dataclass(eq=False, slots=True)
class Attempt:
    """`run` it once; `stop` it from outside with the reason why."""

    job: Job
    output: Output
    grace: timedelta
    supervision: Supervision
    seconds_left: Callable[[], float] = lambda: math.inf
    """Of the lease: when it is over somebody else may run the job, so its process must be gone."""
    created_at: float = field(default_factory=time.monotonic)
    _process: JobProcess | None = None
    _stop_reason: Reason | None = None
    _abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, reason: Reason) -> None:
        """Ask the job to end: SIGTERM, and SIGKILL after the grace. The first reason counts."""
        self._stop_reason = self._stop_reason or reason
        self._stopped.set()

    def abandon(self) -> None:
        """The lease is lost: kill the job at once and report nothing."""
        self._abandoned.set()
        self._stopped.set()

    def lease_renewed(self) -> None:
        if self._process is not None:
            self._process.keep(boot_time(self.seconds_left()))

    async def run(self, program: Program, directory: Path) -> Outcome | None:
        """How it ended, or None if it was abandoned, or nobody can tell. Raises OSError where it cannot be started."""
        started = time.monotonic()
        try:
            self._process = process = await JobProcess.start(
                self.supervision,
                program.command,
                env=program.env,
                cwd=program.cwd or directory,
                feed=self.output.feed,
                until=boot_time(self.seconds_left()),
            )
        except SupervisorLost:
            logger.error("job %s kills whatever starts it", self.job.id)
            return None
        try:
            code = await self._watch(process)
        finally:
            process.close()
        if code == -signal.SIGKILL and process.is_overdue:
            self.abandon()
        seconds = time.monotonic() - started
        if self._abandoned.is_set() or code is None:
            self.output.abandon()
            return None
        reason, message = self._reason(code, program.control)  # now: a stop from here on finds the job at its end
        log = await self.output.close()
        if self._abandoned.is_set():
            return None
        return Outcome(
            reason=reason,
            exit_code=code if code >= 0 else 128 - code,
            message=message,
            tail=self.output.tail,
            result=_read_json(program.control / "result.json") if program.control and reason is None else None,
            seconds=round(seconds, 3),
            log=log,
        )

    async def _watch(self, process: JobProcess) -> int | None:
        """Until the process ends: store its output now and then, and end it when asked or when its time is up."""
        timeout = self.job.spec.limits.timeout
        deadline = time.monotonic() + timeout.total_seconds() if timeout else None
        ending = asyncio.ensure_future(process.wait())
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            done: set[asyncio.Future[Any]] = set()
            while not done:
                left = deadline - time.monotonic() if deadline else FLUSH_SECONDS
                if left <= 0:
                    self.stop(Reason.TIMEOUT)
                done, _ = await asyncio.wait(
                    (ending, stopping), timeout=max(0.0, min(left, FLUSH_SECONDS)), return_when=asyncio.FIRST_COMPLETED
                )
                if not done:
                    self.output.store_soon()
            if ending.done():
                self._stop_reason = None  # it was at its end before it could be told
            else:
                await self._end(process, ending)
            return await ending
        finally:
            ending.cancel()
            stopping.cancel()

    async def _end(self, process: JobProcess, ending: asyncio.Future[int | None]) -> None:
        if not self._abandoned.is_set():
            process.signal_group(signal.SIGTERM)
            process.signal_group(signal.SIGCONT)
            await self._grace(ending)
        if not ending.done():
            process.signal_group(signal.SIGKILL)

    async def _grace(self, ending: asyncio.Future[int | None]) -> None:
        abandoning = asyncio.ensure_future(self._abandoned.wait())
        await asyncio.wait(
            (ending, abandoning), timeout=self.grace.total_seconds(), return_when=asyncio.FIRST_COMPLETED
        )
        abandoning.cancel()

    def _reason(self, code: int, control: Path | None) -> tuple[Reason | None, str]:
        if self._stop_reason is Reason.TIMEOUT:
            return Reason.TIMEOUT, f"stopped after its time limit of {self.job.spec.limits.timeout}"
        if self._stop_reason is not None:
            return self._stop_reason, {Reason.PREEMPTED: "its worker was told to stop"}.get(self._stop_reason, "")
        if code < 0:
            return Reason.SIGNAL, f"killed by {signal_name(-code)}"
        if code == 0:
            return None, ""
        told = _read_json(control / "error.json") if control else None
        if isinstance(told, dict):  # which the job may have written, or spoiled
            reason = Reason.UNDECODABLE if told.get("reason") == Reason.UNDECODABLE else Reason.EXIT
            return reason, str(told.get("message", ""))
        return Reason.EXIT, ""


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def make_directory() -> Path:
    """A new directory for one attempt, readable by this user only."""
    return Path(tempfile.mkdtemp(prefix="jobq-"))


async def remove_directory(directory: Path) -> None:
    """With all that is in it, also what the job has made unreadable."""
    await asyncio.to_thread(_remove, directory)  # an empty one takes a third of a millisecond, a full one minutes


def _remove(directory: Path) -> None:
    try:
        os.rmdir(directory)  # noqa: PTH106  # most jobs leave it empty, and this is the cheap way
    except OSError:
        shutil.rmtree(directory, onerror=_force)


def _force(function: object, path: str, _error: object) -> None:
    try:
        for place in (Path(path).parent, Path(path)):
            if place.is_dir() and not place.is_symlink():  # what a link points to is not the job's
                place.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        logger.warning("could not remove %s: %s", path, error)


def _read_json(path: Path) -> Json:
    try:
        value: Json = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value
