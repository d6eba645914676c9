"""An idle worker under a clock that jumps: `python -m bench.idle_clock FILE SEED SECONDS`. Writes as `bench.counted`.

A process of its own, since the clock is changed for everything in it, before the worker's modules are loaded.
"""

from __future__ import annotations

import asyncio
import json
import random
import selectors
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from bench.counted import TimedMeter
from jobq.adapters.local import MemoryStack
from jobq.adapters.storage_queue import LIMITS
from jobq.core.api import RealmApi, Selection
from jobq.core.listing import Filter
from jobq.core.meter import metered
from jobq.core.ports import Stack, TicketQueue
from jobq.core.realm import Realm
from jobq.model.job import NewJob, Spec

if TYPE_CHECKING:
    from jobq.worker.worker import Worker

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
JOBS = 100


class Clock:
    """`time.monotonic` in a loop whose waits take no time."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def timestamp(self) -> float:
        return self.now().timestamp()


class JumpingSelector(selectors.SelectSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("everything waits, and for nothing that a clock brings")
            self._clock.seconds += max(0.0, timeout)
        return events


class AzureLike(MemoryStack):
    """In memory, asked as seldom as Storage queues."""

    def queue(self, name: str) -> TicketQueue:
        queue = super().queue(name)
        queue.limits = LIMITS
        return queue


async def idle(stack: Stack, meter: TimedMeter, clock: Clock, seed: int, seconds: float) -> None:
    from jobq.worker.options import WorkerOptions
    from jobq.worker.run import make_worker

    realm = Realm(stack, "bench", clock.now, random=random.Random(seed))
    await _leave_something(realm)
    await _run(make_worker(realm, WorkerOptions(quiet=True)))
    meter.restart()
    worker = make_worker(realm, WorkerOptions(until="forever", quiet=True))
    asyncio.get_running_loop().call_later(seconds, worker.stop)
    await _run(worker)


async def _run(worker: Worker) -> None:
    summary = await worker.run()
    if summary.error:
        raise summary.error


async def _leave_something(realm: Realm) -> None:
    """Jobs that have ended, and their counters: an empty realm would flatter the sweeper."""
    jobs = [NewJob(f"job-{i}", Spec(command="true", tags=("bench",))) for i in range(JOBS)]
    api = RealmApi(realm)
    await api.push(jobs, batch="bench")
    await api.cancel(Selection(where=Filter(batch="bench")))


def main(file: Path, seed: int, seconds: float) -> None:
    clock = Clock()
    with patch("time.monotonic", clock):
        meter = TimedMeter()
        loop = asyncio.SelectorEventLoop(JumpingSelector(clock))
        loop.run_until_complete(idle(metered(AzureLike(clock.timestamp), meter), meter, clock, seed, seconds))
        loop.close()
    file.write_text(json.dumps(meter.document()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
