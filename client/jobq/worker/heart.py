"""The worker's own row, kept true; what it is told through it; and its share in keeping the realm in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.core.realm import Realm
from jobq.core.sweep import INTERVAL, sweep_if_due
from jobq.core.workers import WorkerRow
from jobq.errors import JobqError
from jobq.model.job import Job, Progress
from jobq.worker.gpus import GpuWatch
from jobq.worker.machine import in_use

logger = logging.getLogger(__name__)

LONGEST_BEAT = 60.0
LONGEST_SWEEP = timedelta(minutes=10)


@dataclass(slots=True)
class Heart:
    """Beats soon after what runs has changed, and now and then otherwise; so often that the row is always believed."""

    row: WorkerRow
    running: Callable[[], Sequence[Job]]
    progress: Callable[[], Mapping[str, Progress]]
    on_cancel: Callable[[str], None]
    on_preempt: Callable[[str], None]
    """Told of a job, or of EVERYTHING."""
    on_drain: Callable[[], None]
    is_draining: Callable[[], bool]
    is_closed: Callable[[], bool]
    """Whether the realm is being deleted: then there is a row only while something runs."""
    believe: Callable[[], timedelta]
    """How long from now: at least until a dead worker's jobs have come back."""
    soon: float
    """Seconds between two beats while things change."""
    gpus: GpuWatch
    _told: tuple[frozenset[str], int] = (frozenset(), 0)
    """The jobs, and of how many GPUs."""
    _beat_at: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        while True:
            longest = min(LONGEST_BEAT, self.believe().total_seconds() / 3)
            try:
                jobs = self.running()
                is_new = not self._beat_at or self._to_tell(jobs) != self._told
                if self.is_closed() and not jobs:
                    await self.row.leave()
                    self._beat_at = 0.0
                elif is_new or jobs or time.monotonic() - self._beat_at >= longest:
                    await self.beat()
            except JobqError as error:
                logger.warning("could not write the worker's row: %s", error)
            await asyncio.sleep(min(self.soon, longest))

    async def beat(self) -> None:
        async with self._turn:
            jobs = list(self.running())
            told = self._to_tell(jobs)
            asked = await self.row.beat(
                jobs,
                believe=self.believe(),
                progress=self.progress(),
                machine=in_use(),
                gpus=self.gpus.gpus,
                is_draining=self.is_draining(),
            )
            self._told, self._beat_at = told, time.monotonic()
        for job_id in asked.cancel:
            self.on_cancel(job_id)
        for job_id in asked.preempt:
            self.on_preempt(job_id)
        if asked.drain:
            self.on_drain()

    def _to_tell(self, jobs: Sequence[Job]) -> tuple[frozenset[str], int]:
        return frozenset(job.id for job in jobs), len(self.gpus.gpus)

    async def leave(self) -> None:
        try:
            await self.row.leave()
        except JobqError as error:
            logger.warning("could not remove the worker's row: %s", error)


async def sweep_now_and_then(realm: Realm, worker: str) -> None:
    """At most once a minute together with all others; ever more seldom while there is nothing to do."""
    wait = INTERVAL
    while True:
        await asyncio.sleep(wait.total_seconds() * realm.random.uniform(0.8, 1.2))
        try:
            swept = await sweep_if_due(realm, worker)
        except JobqError as error:
            logger.warning("could not finish the sweep: %s", error)
            continue
        is_needed = swept is not None and (swept.has_moved or not swept.is_clean)
        wait = INTERVAL if is_needed else min(LONGEST_SWEEP, wait * 2)
