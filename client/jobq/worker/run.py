"""Running a worker: from options to its end, with signals on the command line."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from jobq.connect import open_realm
from jobq.core.api import list_realms
from jobq.core.realm import Realm
from jobq.core.realm_settings import DEFAULT_LEASE
from jobq.core.workers import EVERYTHING, WorkerRow
from jobq.errors import BadInput, JobqError
from jobq.model.address import Address, parse_address
from jobq.model.job import Job, JobState
from jobq.model.names import DEFAULT_LANE, new_token, realm_name
from jobq.settings import (
    Settings,
    inherited_environment,
    read_settings,
    read_telemetry_settings,
    worker_image,
    worker_labels,
)
from jobq.telemetry import SILENCE, Telemetry, open_telemetry
from jobq.worker.attempt import Startable
from jobq.worker.call import IS_ASYNC
from jobq.worker.directory import JobDirectory
from jobq.worker.heart import Heart
from jobq.worker.job_run import JobRunner, MakeProgram
from jobq.worker.lanes import RealmLanes
from jobq.worker.options import Until, WorkerOptions
from jobq.worker.pool import Pool
from jobq.worker.post import Post, Posts
from jobq.worker.programs import CallableProgram, JobEnvironment, shell_program
from jobq.worker.shared_calls import SharedCalls
from jobq.worker.signals import logging_by_a_thread, signals
from jobq.worker.terminal import Terminal, Writer
from jobq.worker.ticket_run import TicketRunner
from jobq.worker.worker import Summary, Worker

logger = logging.getLogger(__name__)

BEATS_PER_POLL = 20
INTERRUPTED = 130
NO_SETTINGS = Settings()
THREADS = 8


def run_worker(
    queue: str,
    *,
    handler: Callable[..., Any] | str | None = None,
    slots: int = 1,
    until: Until = "empty",
    idle_timeout: timedelta | None = None,
    time_limit: timedelta | None = None,
    lease: timedelta | None = None,
    realms: Sequence[str] = (),
    all_realms: bool = False,
    max_lane: str | int | None = None,
    quiet: bool = True,
) -> dict[str, int]:
    """Run a queue's jobs in this process's children until there is none left; how many attempts led to each state.

    `handler` is a function at the top level of a module or script (or its name, `module:function`), called with each
    job's keyword arguments in a process of its own; calls of an `async def` run side by side in one. What it returns,
    as JSON, is the job's result. Without one the jobs are shell commands. `realms`: others of the same place, to work
    for as well. Without a `lease`, a lane's own holds. Raises JobqError for a queue that cannot be reached or read.
    """
    proc = handler if isinstance(handler, str) else CallableProgram.of(handler).reference if handler else ""
    lane = None if max_lane is None else str(max_lane)
    options = WorkerOptions(
        slots=slots,
        realms=tuple(map(realm_name, realms)),
        all_realms=all_realms,
        lease=lease,
        time_limit=time_limit,
        until=until,
        idle_timeout=idle_timeout,
        max_lane=lane,
        proc=proc,
        quiet=quiet,
    )
    with closing(open_telemetry(read_telemetry_settings())) as telemetry:
        summary = asyncio.run(_run(parse_address(queue), read_settings(), options, lambda worker: None, telemetry))
    if summary.error:
        raise summary.error
    return {state.value: summary.ends[state] for state in JobState if state.is_final}


def run_worker_cli(address: Address, settings: Settings, options: WorkerOptions) -> int:
    """The exit code of `jobq worker` and `jobq pull`. Raises JobqError."""
    was_interrupted = False

    async def run() -> Summary:
        with logging_by_a_thread(), signals() as watch:
            summary = await _run(address, settings, options, watch, telemetry)
            nonlocal was_interrupted
            was_interrupted = watch.was_interrupted
            return summary

    with closing(open_telemetry(read_telemetry_settings())) as telemetry:
        summary = asyncio.run(run())
        if summary.error:
            raise summary.error
        logger.info("ended: %s", _said(summary))
    if was_interrupted:
        return INTERRUPTED
    return 5 if options.one and summary.ends[JobState.SUCCEEDED] < summary.started else 0


async def _run(
    address: Address,
    settings: Settings,
    options: WorkerOptions,
    watch: Callable[[Worker], None],
    telemetry: Telemetry,
) -> Summary:
    asyncio.get_running_loop().set_default_executor(_threads())
    if options.proc:
        options = replace(options, is_async=await asyncio.to_thread(_check_callable, options.proc))
    leave = await asyncio.to_thread(_leaving, options, settings) if options.leave_scale_set else None
    async with open_realm(address, settings, durable=False) as realm:
        terminal = None if options.quiet else Terminal(sys.stdout.buffer)
        worker = make_worker(realm, options, terminal, telemetry, settings)
        if leave:
            worker.on_idle = leave
        watch(worker)
        where = ", ".join(post.realm.address for post in worker.posts)
        logger.info("worker %s takes jobs from %s, %d at a time", worker.pool.worker, where, options.slots)
        try:
            return await worker.run()
        finally:
            if terminal:
                await asyncio.to_thread(terminal.close)


def _leaving(options: WorkerOptions, settings: Settings) -> Callable[[], Awaitable[bool]]:
    """What an idle worker does. Waits for the metadata endpoint. Raises Unreachable, BadInput."""
    from jobq.worker.leaving import leave_scale_set, this_instance  # an HTTP client, which takes a while to load

    where = options.scheduled_events
    instance = this_instance() if where in ("auto", "off") else this_instance(where)
    return partial(leave_scale_set, instance, settings, keep=options.keep_instances)


def _threads() -> ThreadPoolExecutor:
    """All that there will be, started now: later, a job may leave no room for another one."""
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="worker")
    barrier = threading.Barrier(THREADS + 1)
    for _ in range(THREADS):
        executor.submit(barrier.wait)
    barrier.wait()
    return executor


def _said(summary: Summary) -> str:
    ends = [f"{count} {state}" for state, count in summary.ends.items() if state.is_final]
    if again := summary.ends[JobState.QUEUED]:
        ends.append(f"{again} put back in the queue to be tried again")
    return ", ".join(ends) or "there was nothing to run"


def make_worker(
    realm: Realm,
    options: WorkerOptions,
    terminal: Writer | None = None,
    telemetry: Telemetry = SILENCE,
    settings: Settings = NO_SETTINGS,
) -> Worker:
    """`settings`: with which the realm was opened."""
    name = f"{socket.gethostname().split('.')[0][:40]}-{os.getpid()}-{new_token()[:6]}"
    environment = JobEnvironment.of_this_process(realm.name, name)
    shared = SharedCalls(options.proc, environment.importing(environment.base), terminal) if options.is_async else None
    pool = Pool(
        worker=name,
        options=options,
        settings=settings,
        terminal=terminal,
        shared=shared,
        on_outcome=lambda outcome: worker.on_outcome(outcome),
        on_end=lambda job: worker.on_end(job),
    )

    def make(name: str) -> Post:
        chosen = realm if name == realm.name else realm.beside(name)
        program = _program(options, replace(environment, queue_name=name), shared)
        return _post(chosen, JobRunner(chosen, pool, program), telemetry, lambda: worker)

    async def find() -> list[str]:
        return list((await list_realms(realm))["realms"])

    posts = Posts(make, [realm.name, *options.realms], find if options.all_realms else None)
    worker = Worker(pool, posts)
    return worker


def _post(realm: Realm, jobs: JobRunner, telemetry: Telemetry, worker: Callable[[], Worker]) -> Post:
    pool, options = jobs.pool, jobs.pool.options
    told = telemetry.worker(realm.name, pool.worker, slots=lambda: options.slots, running=lambda: len(jobs.attempts))
    runner = TicketRunner(realm, pool, jobs, told)
    lanes = RealmLanes(realm, options.lease, options.max_lane)
    heart = Heart(
        row=WorkerRow(realm, pool.worker, options.slots, worker_labels() | dict(options.labels), worker_image()),
        running=jobs.running,
        progress=jobs.progress,
        on_cancel=runner.cancel,
        on_preempt=lambda job: worker().rehearse() if job == EVERYTHING else runner.preempt(job),
        on_drain=lambda: worker().drain(),
        is_draining=lambda: worker().is_draining,
        is_closed=lambda: lanes.is_closed,
        believe=lambda: jobs.longest_lease() or min(DEFAULT_LEASE, lanes.longest_lease()),
        soon=realm.queue(DEFAULT_LANE).limits.poll_seconds * BEATS_PER_POLL,
        gpus=pool.gpus,
    )
    return Post(realm, lanes, runner, heart)


def _program(options: WorkerOptions, environment: JobEnvironment, shared: SharedCalls | None) -> MakeProgram:
    if not options.proc:
        return lambda job, directory: shell_program(job, environment, directory)
    call = CallableProgram(options.proc, shared)

    def program(job: Job, directory: JobDirectory) -> Startable:
        return call(job, environment, directory)

    return program


def _check_callable(reference: str) -> bool:
    """Whether it is an async function. Raises BadInput for what cannot be called."""
    command = [sys.executable, "-m", "jobq.worker.call", reference, ""]
    env = inherited_environment() | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=env)  # noqa: S603  # our own interpreter
    if checked.returncode not in (0, IS_ASYNC):
        why = checked.stderr.strip().splitlines()[-1:] or ["it could not be imported"]
        raise BadInput(f"--proc {reference} is not a function that can be called: {why[0]}. Write module:function")
    return checked.returncode == IS_ASYNC


__all__ = ["JobqError", "run_worker", "run_worker_cli"]
