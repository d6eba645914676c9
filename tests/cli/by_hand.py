"""What a worker does to jobs, done by hand: claim, and end as the test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from jobq.connect import open_realm
from jobq.core.claim import Held, claim
from jobq.core.finish import finish, settle
from jobq.core.lease import TicketLease
from jobq.core.logs import LogTimes, log_key, times_key
from jobq.core.realm import Realm
from jobq.core.workers import WorkerRow
from jobq.model.address import parse_address
from jobq.model.counts import Gpu
from jobq.model.job import Job, Outcome, Progress, Reason
from jobq.settings import Settings

LEASE = timedelta(minutes=1)
OK = Outcome(exit_code=0, tail="fine\n", seconds=1.5)
FAILED = Outcome(Reason.EXIT, 3, tail="no such file\n", seconds=0.5)


def end_jobs(count: int = 1, outcome: Outcome = OK, *, address: str = "local:./q/demo", log: bytes = b"") -> list[str]:
    """The ids of the jobs that were run, in order."""
    return asyncio.run(_each(address, count, outcome, log))


def start_job(address: str = "local:./q/demo") -> str:
    """Claim one job and leave it running."""

    async def start() -> str:
        async with open_realm(parse_address(address), Settings()) as realm:
            return (await _claim_one(realm)).jobs[0].id

    return asyncio.run(start())


def run_until_told(job_log: bytes, times: LogTimes, address: str = "local:./q/demo") -> str:
    """Claim one job and leave it running, with output so far, and when it came."""

    async def start() -> str:
        async with open_realm(parse_address(address), Settings()) as realm:
            (job,) = (await _claim_one(realm)).jobs
            await realm.stack.blobs.append(log_key(realm.name, job.id, job.attempt), job_log)
            await realm.stack.blobs.put(times_key(realm.name, job.id, job.attempt), times.encoded())
            return job.id

    return asyncio.run(start())


def be_seen(worker: str, *, image: str = "", gpus: Sequence[Gpu] = (), address: str = "local:./q/demo") -> None:
    """As a worker that runs nothing."""

    async def beat() -> None:
        async with open_realm(parse_address(address), Settings()) as realm:
            machine = {"cpu": 0.5, "memory": 0.25}
            await WorkerRow(realm, worker, 2, image=image).beat([], believe=LEASE, machine=machine, gpus=gpus)

    asyncio.run(beat())


def tell_progress(job_id: str, progress: Progress, address: str = "local:./q/demo") -> None:
    """As the worker of a job that runs."""

    async def tell() -> None:
        async with open_realm(parse_address(address), Settings()) as realm:
            job = await realm.read(job_id)
            await WorkerRow(realm, job.worker, 1).beat([job], believe=LEASE, progress={job_id: progress})

    asyncio.run(tell())


async def _each(address: str, count: int, outcome: Outcome, log: bytes) -> list[str]:
    async with open_realm(parse_address(address), Settings()) as realm:
        return [(await _end_one(realm, outcome, log)).id for _ in range(count)]


async def _end_one(realm: Realm, outcome: Outcome, log: bytes) -> Job:
    held = await _claim_one(realm)
    (job,) = held.jobs
    if log:
        await realm.stack.blobs.append(log_key(realm.name, job.id, job.attempt), log)
    await finish(realm, held, job, outcome)
    await settle(held)
    return job


async def _claim_one(realm: Realm) -> Held:
    """Drops tickets that say nothing any more. The test is wrong if there is none left."""
    while True:
        for lane in await realm.lanes():
            queue = realm.queue(lane)
            deliveries = await queue.receive(1, lease=LEASE)
            if deliveries:
                lease = TicketLease(queue, deliveries[0], LEASE, time.monotonic())
                held = await claim(realm, lane, lease, worker="by-hand")
                break
        else:
            raise AssertionError("no ticket is left")
        if held:
            return held
