"""One attempt at one job: from its own directory and environment to its outcome."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from jobq.errors import BadInput
from jobq.model.job import Job, Json, Outcome, Progress, Reason
from jobq.worker.companion import Companion
from jobq.worker.directory import JobDirectory
from jobq.worker.memory import oom_kills
from jobq.worker.output import FLUSH_SECONDS, Output
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision, SupervisorLost, boot_time

logger = logging.getLogger(__name__)

LEAST_GRACE = 2.0
"""Seconds to copy what a job has left that used up its grace."""
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""As an exit code: of a process that was killed, and of a shell that waited for it."""


class Running(Protocol):
    """What was started for a job: its process, or its part of one."""

    @property
    def is_overdue(self) -> bool:
        """Whether its time is up, so that it was killed or is being killed."""
        ...

    @property
    def fate(self) -> tuple[Reason, str] | None:
        """Why it ended, if that was another job's doing."""
        ...

    def keep(self, until: float) -> None:
        """It has more time, by `boot_time`."""
        ...

    async def wait(self) -> int | None:
        """Its exit code, negative for a signal; None if nobody can tell."""
        ...

    def signal_group(self, number: signal.Signals) -> None: ...

    def close(self) -> None:
        """Nothing of it goes on."""
        ...


class Startable(Protocol):
    async def start(
        self,
        supervision: Supervision,
        *,
        cwd: Path,
        feed: Callable[[bytes], None],
        until: float,
        emulate_tty: bool,
    ) -> Running:
        """Its output comes to `feed`; `until`: of `boot_time`, when it is killed if not kept. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class Program:
    """What a job's own process executes."""

    command: Sequence[str]
    env: Mapping[str, str]

    async def start(
        self, supervision: Supervision, *, cwd: Path, feed: Callable[[bytes], None], until: float, emulate_tty: bool
    ) -> Running:
        return await JobProcess.start(
            supervision, self.command, env=self.env, cwd=cwd, feed=feed, until=until, emulate_tty=emulate_tty
        )


@dataclass(eq=False, slots=True)
class Attempt:
    """`run` it once; `stop` it from outside with the reason why."""

    job: Job
    output: Output
    grace: timedelta
    supervision: Supervision
    seconds_left: Callable[[], float] = lambda: math.inf
    """Of the lease: when it is over somebody else may run the job, so its process must be gone."""
    emulate_tty: bool = False
    companion: Companion | None = None
    """Copies what the job writes."""
    created_at: float = field(default_factory=time.monotonic)
    _process: Running | None = None
    _directory: JobDirectory | None = None
    _stop_reason: Reason | None = None
    _abandoned: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    """The job is to go from here, also when it has ended and its outputs are being copied."""
    _leaving_at: float = math.inf
    _leaving_for: Reason | None = None

    def stop(self, reason: Reason, grace: timedelta | None = None) -> None:
        """Ask the job to end: SIGTERM, and SIGKILL after its grace, or this one if it is shorter. The first reason
        counts."""
        self.grace = self.grace if grace is None else min(self.grace, grace)
        self._stop_reason = self._stop_reason or reason
        self._stopped.set()
        if reason in (Reason.PREEMPTED, Reason.CANCELLED) and not self._leaving.is_set():
            self._leaving_at, self._leaving_for = time.monotonic(), reason
            self._leaving.set()

    def abandon(self) -> None:
        """The lease is lost: kill the job at once and report nothing."""
        self._abandoned.set()
        self._stopped.set()

    def lease_renewed(self) -> None:
        if self._process is not None:
            self._process.keep(boot_time(self.seconds_left()))
        if self.companion is not None:
            self.companion.keep()

    def progress(self) -> Progress | None:
        """How far the job says it is."""
        return self._directory.progress() if self._directory else None

    async def run(self, program: Startable, directory: JobDirectory) -> Outcome | None:
        """How it ended, or None if it was abandoned, or nobody can tell.

        Raises OSError where it cannot be started; Unreachable, BadInput where its checkpoint cannot be restored.
        """
        self._directory = directory
        try:
            if self.companion:
                await self.companion.begin()
            return await self._run(program, directory)
        finally:
            if self.companion:
                self.companion.close()

    async def _run(self, program: Startable, directory: JobDirectory) -> Outcome | None:
        started, kills = time.monotonic(), oom_kills()
        try:
            self._process = process = await program.start(
                self.supervision,
                cwd=directory.work,
                feed=self.output.feed,
                until=boot_time(self.seconds_left()),
                emulate_tty=self.emulate_tty,
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
        # Now: a stop from here on finds the job at its end.
        is_oom = code in KILLED and oom_kills() > kills
        reason, message, result = self._ended(code, directory, fate=process.fate, is_oom=is_oom)
        if self.companion and (problem := await self._copy_rest(self.companion, is_ok=reason is None)):
            reason = reason or self._leaving_for or Reason.UPLOAD
            message, result = ": ".join(filter(None, (message, f"its outputs could not be stored: {problem}"))), None
        log = await self.output.close()
        if self._abandoned.is_set():
            return None
        return Outcome(
            reason=reason,
            exit_code=code if code >= 0 else 128 - code,
            message=message,
            tail=self.output.tail,
            result=result,
            seconds=round(seconds, 3),
            log=log,
        )

    async def _watch(self, process: Running) -> int | None:
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
                    if self.companion:
                        self.companion.look()
            if ending.done():
                self._stop_reason = None  # it was at its end before it could be told
            else:
                await self._end(process, ending)
            return await ending
        finally:
            ending.cancel()
            stopping.cancel()

    async def _end(self, process: Running, ending: asyncio.Future[int | None]) -> None:
        if not self._abandoned.is_set():
            if self._stop_reason is Reason.PREEMPTED and self._directory:
                self._directory.say_preempted()
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

    async def _copy_rest(self, companion: Companion, *, is_ok: bool) -> str:
        """What of the outputs is not stored, or "". For as long as it takes, unless the job is to go from here."""
        finishing = asyncio.ensure_future(companion.finish(is_ok=is_ok))
        leaving = asyncio.ensure_future(self._leaving.wait())
        abandoning = asyncio.ensure_future(self._abandoned.wait())
        try:
            await asyncio.wait((finishing, leaving, abandoning), return_when=asyncio.FIRST_COMPLETED)
            if not finishing.done() and not abandoning.done():
                left = self._leaving_at + self.grace.total_seconds() - time.monotonic()
                await asyncio.wait(
                    (finishing, abandoning), timeout=max(LEAST_GRACE, left), return_when=asyncio.FIRST_COMPLETED
                )
            return await finishing if finishing.done() else "its worker was told to stop before all was copied"
        finally:
            for waiting in (finishing, leaving, abandoning):
                waiting.cancel()

    def _ended(
        self, code: int, directory: JobDirectory, *, fate: tuple[Reason, str] | None, is_oom: bool
    ) -> tuple[Reason | None, str, Json]:
        """Why, in words where there are any, and the result of what went well."""
        reason, message = self._reason(code, fate=fate, is_oom=is_oom)
        if reason is None:
            try:
                return None, "", directory.result()
            except BadInput as error:
                return Reason.UPLOAD, str(error), None
        if code > 0 and self._stop_reason is None and directory.was_undecodable():
            reason = Reason.UNDECODABLE
        return reason, ": ".join(filter(None, (message, directory.error()))), None

    def _reason(self, code: int, *, fate: tuple[Reason, str] | None, is_oom: bool) -> tuple[Reason | None, str]:
        if self._stop_reason is Reason.TIMEOUT:
            return Reason.TIMEOUT, f"stopped after its time limit of {self.job.spec.limits.timeout}"
        if self._stop_reason is not None:
            return self._stop_reason, {Reason.PREEMPTED: "its worker was told to stop"}.get(self._stop_reason, "")
        if fate is not None:
            return fate
        if is_oom:
            return Reason.OOM, "killed by the kernel for memory"
        if code < 0:
            return Reason.SIGNAL, f"killed by {signal_name(-code)}"
        return (Reason.EXIT if code else None), ""


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
