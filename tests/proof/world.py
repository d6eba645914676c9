"""A realm in memory with a clock that the test moves, and the question all proofs end with: do counts equal rows?"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count

from jobq.adapters.local import MemoryStack
from jobq.core.listing import Filter, count_jobs, each_job
from jobq.core.ports import Stack, TicketQueue
from jobq.core.push import Push
from jobq.core.realm import Realm, scan_all
from jobq.core.rows import counts_of, job_of, partition
from jobq.model.counts import Counts, Ever, counts_moved
from jobq.model.fingerprint import error_of
from jobq.model.job import DEFAULT_LIMITS, IfExists, Job, JobState, Limits, NewJob, Pushed, Spec
from jobq.model.names import SHARDS, key_part

REALM = "proof"
START = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(minutes=10)


class Clock:
    """Seconds for queues, times for rows, both from the same moved moment."""

    def __init__(self, start: datetime = START) -> None:
        self.moment = start

    def now(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def move(self, *, by: timedelta) -> None:
        self.moment += by


class World:
    """A stack and its clock; `realm()` is one more process's view of it."""

    def __init__(self, stack: Stack | None = None, *, name: str = REALM, clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or Clock()
        self.stack = stack or MemoryStack(self.clock.seconds)
        self._processes = count()
        self.realm = self.process()

    def process(self, stack: Stack | None = None) -> Realm:
        """A realm as another process has it: its own writers, tokens and randomness, the same store."""
        number, numbers = next(self._processes), count()
        prefix = f"p{number:02d}x"
        return Realm(
            stack or self.stack,
            self.name,
            now=self.clock.now,
            new_token=lambda: f"{prefix}{next(numbers):04d}",
            random=random.Random(number),
        )

    async def push(self, *jobs: NewJob, batch: str = "b", chunk: int = 1, **options: IfExists | str) -> list[Pushed]:
        return await Push(self.realm, batch, chunk=chunk, **options).run(jobs)  # type: ignore[arg-type]

    async def push_one(self) -> Job:
        """A queued job `b-1`."""
        await self.push(new_job("b-1"))
        return await self.job("b-1")

    async def job(self, job_id: str) -> Job:
        return await self.realm.read(job_id)

    async def state(self, job_id: str) -> JobState:
        return (await self.realm.read(job_id)).state

    def queue(self, lane: str = "0") -> TicketQueue:
        return self.realm.queue(lane)


def new_job(
    job_id: str,
    *,
    tags: tuple[str, ...] = (),
    lanes: tuple[str, ...] = ("0",),
    limits: Limits = DEFAULT_LIMITS,
    command: str = "true",
) -> NewJob:
    return NewJob(job_id, Spec(command=command, tags=tags, lanes=lanes, limits=limits))


async def jobs_in(realm: Realm) -> dict[str, Job]:
    return {job.id: job async for job in each_job(realm, Filter())}


async def assert_counts_equal_rows(realm: Realm) -> dict[str, Job]:
    """Counters, and the index rows, against the job rows of every shard; the jobs by id."""
    jobs: dict[str, Job] = {}
    for shard in range(SHARDS):
        rows = await scan_all(realm, partition(realm.name, shard), "")
        own = {job.id: job for job in (job_of(row) for row in rows if row.key.startswith("job~"))}
        counted: dict[str, Counts] = {}
        for row in rows:
            if row.key.startswith("count~"):
                label = row.key.split("~")[1]
                counted[label] = counted.get(label, Counts()) + counts_of(row)
        net = {label: counts.net for label, counts in counted.items() if counts.net != Counts()}
        assert net == _expected_counts(own)
        found = {row.key for row in rows if row.key.startswith(("tag~", "failed~"))}
        assert found == _expected_index(own)
        jobs |= own
    return jobs


async def ever_of(realm: Realm) -> Ever:
    """What the realm's counters say has happened in it."""
    shards = [await scan_all(realm, partition(realm.name, shard), "count~r~") for shard in range(SHARDS)]
    return sum((counts_of(row).ever for rows in shards for row in rows), Ever())


async def outbox_rows(realm: Realm) -> int:
    rows = [await scan_all(realm, partition(realm.name, shard), "outbox~") for shard in range(SHARDS)]
    return sum(map(len, rows))


def _labels(job: Job) -> list[str]:
    tags = ["t" + key_part(tag) for tag in job.spec.tags]
    error = error_of(job)
    errors = ["e" + error.key] if error else []
    return ["r", "b" + key_part(job.batch), *tags, *("l" + lane for lane in job.spec.lanes), *errors]


def _expected_counts(jobs: dict[str, Job]) -> dict[str, Counts]:
    counts: dict[str, Counts] = {}
    for job in jobs.values():
        for label in _labels(job):
            counts[label] = counts.get(label, Counts()) + counts_moved(None, job.state)
    return counts


def _expected_index(jobs: dict[str, Job]) -> set[str]:
    keys = set()
    for job in jobs.values():
        named, tags = key_part(job.id), ["t" + key_part(tag) for tag in job.spec.tags]
        batch = "b" + key_part(job.batch)
        members = tags if job.id.startswith(f"{job.batch}-") else [*tags, batch]
        failed = ["r", batch, *tags] if job.state is JobState.FAILED else []
        keys |= {f"tag~{label}~{named}" for label in members} | {f"failed~{label}~{named}" for label in failed}
    return keys


def states_of(jobs: dict[str, Job]) -> Counter[JobState]:
    return Counter(job.state for job in jobs.values())


async def count_all(realm: Realm, where: Filter) -> int:
    """How many match, asked for part by part."""
    total, after = 0, ""
    while True:
        found, after = await count_jobs(realm, where, after=after)
        total += found
        if not after:
            return total
