"""What a worker has once, whatever realms its jobs are of: slots, leases, a supervisor; and how much it can take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.errors import NoRoom
from jobq.model.job import Job, Outcome, Reason
from jobq.settings import Settings
from jobq.worker.attempt import Attempt
from jobq.worker.files import JobFiles
from jobq.worker.gpus import GpuWatch
from jobq.worker.options import WorkerOptions
from jobq.worker.renewer import Renewer
from jobq.worker.shared_calls import SharedCalls
from jobq.worker.slots import Slots
from jobq.worker.supervision import Supervision
from jobq.worker.terminal import Writer

AHEAD_SECONDS = 0.25
"""Tickets are received ahead for so much work, by how long jobs took lately; none for jobs that take longer."""
MOST_AHEAD = 32


@dataclass(slots=True)
class Pool:
    worker: str
    """Its name, the same in all realms."""
    options: WorkerOptions
    settings: Settings
    """How to reach a realm from another process."""
    terminal: Writer | None
    shared: SharedCalls | None
    """Where calls of an async function run."""
    on_outcome: Callable[[Outcome], None]
    """Told how an attempt has ended, in the order of the ends."""
    on_end: Callable[[Job], None]
    """Told of each end that was recorded."""
    slots: Slots = field(init=False)
    renewer: Renewer = field(default_factory=Renewer)
    gpus: GpuWatch = field(default_factory=GpuWatch)
    supervision: Supervision = field(default_factory=Supervision)
    files: JobFiles = field(default_factory=JobFiles)
    suspects: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the job that may have killed its worker."""
    attempts: set[Attempt] = field(default_factory=set)
    """All that run."""
    started: int = 0
    tickets: int = 0
    """In hand, from receipt to settlement."""
    unclaimed: int = 0
    """Jobs of tickets that are received and not claimed yet."""
    trouble: NoRoom | None = None
    """Why a job was not started, to be looked at once."""
    is_in_trouble: bool = False
    """Since then no job has run here."""
    _job_seconds: float | None = None
    """One job's time, of late."""
    _jobs_per_ticket: float = field(init=False)
    """Of late; at first so many that a single ticket is asked for."""

    def __post_init__(self) -> None:
        self.slots = Slots(self.options.slots)
        self._jobs_per_ticket = self.options.slots

    def room(self) -> int:
        """How many tickets to ask for: one for each free slot, and some ahead while jobs are short."""
        if self.slots.is_closed:
            return 0
        if self.options.one:
            return 1 - self.tickets
        ahead = self._ahead
        free = self.slots.size - self.slots.busy - self.slots.waiting
        if self.unclaimed > max(free, ahead / 2):
            return 0  # enough for now: asking seldom for many beats asking often for one
        return math.ceil((free + ahead - self.unclaimed) / self._jobs_per_ticket)

    def is_ahead(self) -> bool:
        """Whether jobs are so short of late that tickets are received ahead."""
        return self._ahead >= self.slots.size

    def received(self, jobs: int) -> None:
        """A ticket came, for so many jobs."""
        self._jobs_per_ticket = 0.5 * self._jobs_per_ticket + 0.5 * jobs

    def took(self, seconds: float) -> None:
        """A job has ended."""
        self._job_seconds = seconds if self._job_seconds is None else 0.7 * self._job_seconds + 0.3 * seconds

    def stop(self, reason: Reason, grace: timedelta | None = None) -> None:
        """Ask all that runs to end."""
        for attempt in list(self.attempts):
            attempt.stop(reason, grace)

    def abandon(self) -> None:
        """At once: nothing of a job goes on, and its ticket comes back when its lease ends."""
        for attempt in list(self.attempts):
            attempt.abandon()

    async def close(self) -> None:
        """Nothing of any job goes on."""
        await self.supervision.close()
        self.files.close()
        if self.shared:
            await self.shared.close()

    @property
    def _ahead(self) -> float:
        """Jobs to hold beyond those that run."""
        if self._job_seconds is None or self.options.one:
            return 0.0
        running = [attempt.created_at for attempt in self.attempts]
        if len(running) >= self.slots.size and time.monotonic() - max(running) > AHEAD_SECONDS:
            return 0.0  # jobs were short, but those that run now are not: others may have what waits
        return min(MOST_AHEAD, self.slots.size * AHEAD_SECONDS / max(self._job_seconds, 0.001))
