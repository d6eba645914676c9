"""Jobs pushed and workers run inside a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from jobq.core.push import Push
from jobq.core.realm import Realm
from jobq.model.job import Job, Json, Limits, NewJob, Spec
from jobq.worker.options import WorkerOptions
from jobq.worker.run import make_worker
from jobq.worker.worker import Summary, Worker

ONE_SHARD = ["b-1", "b-10", "b-27", "b-33"]
"""Ids of one shard, which chunks need."""


async def push(realm: Realm, *jobs: str | Spec, batch: str = "b", chunk: int = 1, ids: Sequence[str] = ()) -> list[str]:
    """Commands or specs, in order; their ids are `batch-1`, `batch-2`, … unless given."""
    specs = [Spec(command=job) if isinstance(job, str) else job for job in jobs]
    names = ids or [f"{batch}-{n}" for n in range(1, len(specs) + 1)]
    new = [NewJob(job_id, spec) for job_id, spec in zip(names, specs, strict=True)]
    return [pushed.id for pushed in await Push(realm, batch, chunk=chunk).run(new)]


def shell(
    command: str,
    *,
    env: dict[str, str] | None = None,
    lanes: tuple[str, ...] = ("0",),
    tags: tuple[str, ...] = (),
    retries: int = 0,
    timeout: timedelta | None = None,
) -> Spec:
    limits = Limits(retries=retries, timeout=timeout)
    return Spec(command=command, env=env or {}, lanes=lanes, tags=tags, limits=limits)


def call(retries: int = 0, **kwargs: Json) -> Spec:
    return Spec(kwargs=kwargs, limits=Limits(retries=retries))


async def work(realm: Realm, **options: Any) -> Summary:
    """Run a worker to its end."""
    return await make_worker(realm, _options(options)).run()


@asynccontextmanager
async def working(realm: Realm, **options: Any) -> AsyncIterator[Worker]:
    """A worker that runs for ever, until the block ends."""
    worker = make_worker(realm, _options({"until": "forever", **options}))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await running


def _options(options: dict[str, Any]) -> WorkerOptions:
    return WorkerOptions(**{"quiet": True, "grace": timedelta(seconds=5), **options})


async def states(realm: Realm, ids: list[str]) -> list[str]:
    return [job.state.value for job in await jobs(realm, ids)]


async def jobs(realm: Realm, ids: list[str]) -> list[Job]:
    return [await realm.read(job_id) for job_id in ids]
