"""The worker: fetches tickets into free slots, keeps its leases and its own row, and knows when to end."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.core.lease import TicketLease
from jobq.errors import JobqError, NoRoom, Unreachable
from jobq.model.job import Job, JobState, Outcome, Reason
from jobq.worker.lanes import Lanes, Taken
from jobq.worker.options import WorkerOptions
from jobq.worker.pace import Pace
from jobq.worker.pool import Pool
from jobq.worker.post import Posts
from jobq.worker.preemption import PreemptionWatch, is_on_azure
from jobq.worker.ticket_run import TicketRunner, jobs_in

logger = logging.getLogger(__name__)

PATIENCE_AT_FIRST = 20.0
PATIENCE_LATER = 600.0
"""Seconds for which a backend in trouble is asked again before the worker gives up."""


@dataclass(slots=True)
class Summary:
    """What a worker has done: recorded ends by the state they led to."""

    ends: Counter[JobState] = field(default_factory=Counter)
    started: int = 0
    error: JobqError | None = None


async def _end() -> bool:
    return True


@dataclass(slots=True)
class Worker:
    pool: Pool
    posts: Posts
    on_idle: Callable[[], Awaitable[bool]] = _end
    """Asked after the idle timeout, with nothing running: whether to end. Otherwise it is asked again after another."""
    summary: Summary = field(default_factory=Summary)
    _failures_in_a_row: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _is_paused: bool = False
    """While the machine is about to go."""
    _is_rehearsing: bool = False
    _asking_again_in: float = 0.1
    _asked_again_at: float = -math.inf
    """When to look next whether all is done, and the wait after that."""
    _trouble_since: float | None = None
    _has_connected: bool = False

    @property
    def options(self) -> WorkerOptions:
        return self.pool.options

    @property
    def lanes(self) -> Lanes:
        return self.posts.lanes

    async def run(self) -> Summary:
        """Until there is nothing to do (by the options), or `stop`. An error that ended it is in the summary."""
        if self.options.time_limit:
            asyncio.get_running_loop().call_later(self.options.time_limit.total_seconds(), self.stop)
        async with asyncio.TaskGroup() as side:
            tasks = [
                side.create_task(self.pool.renewer.run()),
                side.create_task(self.pool.gpus.run()),
                side.create_task(self.posts.run()),
            ]
            if watch := self._preemption_watch():
                tasks.append(side.create_task(watch.run()))
            try:
                async with asyncio.TaskGroup() as tickets:
                    await self._fetch(tickets)
            finally:
                for task in tasks:
                    task.cancel()
                await self.pool.close()
        self.summary.started = self.pool.started
        return self.summary

    def stop(self, reason: Reason = Reason.PREEMPTED) -> None:
        """Take nothing new, stop what runs (it goes back to the queue) and end."""
        self.drain()
        self.pool.stop(reason)

    def preempt(self, grace: timedelta | None) -> None:
        """The machine goes, in so long: what runs goes back to the queue. What then, the options say."""
        if self.options.on_preempt == "exit":
            self.drain()
        self._is_paused = True
        self.pool.slots.close()
        self.pool.stop(Reason.PREEMPTED, grace)

    def rehearse(self) -> None:
        """Preempt all, and then go on as when the end of the machine is withdrawn."""
        logger.warning("asked to behave as if this machine went: jobs go back to the queue")
        self.preempt(None)
        self._is_rehearsing = True
        self._end_rehearsal()

    def _end_rehearsal(self) -> None:
        if self._is_rehearsing and not self.pool.tickets:
            self._is_rehearsing = False
            self.resume()

    def resume(self) -> None:
        """It does not go after all."""
        self._is_paused = False
        if not self._stopping.is_set():
            self.pool.slots.open()
        self._changed.set()

    def kill(self) -> None:
        """At once: nothing of a job goes on, and its ticket comes back when its lease ends."""
        self.pool.abandon()

    def drain(self) -> None:
        """Take nothing new; what runs goes on."""
        self._stopping.set()
        self.pool.slots.close()
        self._changed.set()

    @property
    def is_draining(self) -> bool:
        return self._stopping.is_set() or self._is_paused

    def on_end(self, job: Job) -> None:
        """What the runner tells of each recorded end."""
        self.summary.ends[job.state] += 1

    def on_outcome(self, outcome: Outcome) -> None:
        """The same of each attempt, which is recorded later, maybe after others that ended after it."""
        self.pool.took(outcome.seconds)
        self._changed.set()
        has_failed = outcome.reason not in (None, Reason.PREEMPTED, Reason.CANCELLED)
        self._failures_in_a_row = self._failures_in_a_row + 1 if has_failed else 0
        limit = self.options.max_consecutive_failures
        if limit and self._failures_in_a_row > limit and not self._stopping.is_set():
            self._fail(JobqError(f"{limit + 1} failures in a row are over --max-consecutive-failures {limit}"))

    async def _fetch(self, tickets: asyncio.TaskGroup) -> None:
        limits = self.lanes.limits
        pace = Pace(limits.poll_seconds, limits.idle_poll_seconds, random=self.lanes.realms[0].realm.random)
        while not self._stopping.is_set() and not (self.options.one and self.pool.started):
            try:
                if trouble := self.pool.trouble:
                    self.pool.trouble = None
                    raise trouble
                received = await self._receive(pace)
                if not self.pool.is_in_trouble:
                    self._trouble_since = None
                self._has_connected = True
                if not received and not self.pool.tickets and await self._is_done(pace):
                    return
                if received:
                    self._start(tickets, received, pace)
                    self._asking_again_in, self._asked_again_at = limits.poll_seconds, -math.inf
                    await asyncio.sleep(0)  # so that they are counted before more is asked for
                await self._rest(pace, has_received=bool(received))
            except JobqError as error:
                await self._endure(error)
        self._start(tickets, self.lanes.came(), pace)  # which gives them back

    def _preemption_watch(self) -> PreemptionWatch | None:
        where = self.options.scheduled_events
        if where == "off" or (where == "auto" and not is_on_azure()):
            return None
        from jobq.worker.scheduled_events import ScheduledEvents  # an HTTP client, which takes a while to load

        return PreemptionWatch(ScheduledEvents() if where == "auto" else ScheduledEvents(where), self)

    def _start(self, tickets: asyncio.TaskGroup, received: list[Taken], pace: Pace) -> None:
        self.pool.tickets += len(received)
        pace.active()
        for realm, lane, lease in received:
            runner = self.posts[realm.name].runner
            tickets.create_task(self._run_ticket(runner, lane, lease, pace))

    async def _run_ticket(self, runner: TicketRunner, lane: str, lease: TicketLease, pace: Pace) -> None:
        try:
            await runner.run(lane, lease)
        finally:
            pace.active()
            self.pool.tickets -= 1
            self._changed.set()
            self._end_rehearsal()

    async def _receive(self, pace: Pace) -> list[Taken]:
        await self.posts.look(after=pace.look_after)
        taken = await self.lanes.take(self.pool.room)
        for ticket in taken:
            self.pool.received(jobs_in(ticket.lease.delivery))
        return taken

    async def _rest(self, pace: Pace, *, has_received: bool) -> None:
        """Until there is room again; where the queue had nothing, for a while, or until nothing runs any more."""
        if self.pool.room() <= 0:
            await self._wait_until(lambda: self.pool.room() > 0, None)
        elif not has_received:
            was_busy, seconds = self.pool.tickets > 0, pace.next_wait(self.lanes.count)
            await self.lanes.wait(self._wait_until(lambda: was_busy and not self.pool.tickets, seconds), seconds)

    async def _wait_until(self, condition: Callable[[], bool], seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition() and not self._stopping.is_set():
                    self._changed.clear()
                    await self._changed.wait()

    async def _is_done(self, pace: Pace) -> bool:
        """Whether to end, with nothing received and nothing running. Delayed retries are queued, so waited for."""
        if self.options.until == "forever":
            return False
        if self.options.until == "idle":
            limit = self.options.idle_timeout
            if limit is None or pace.idle_seconds < limit.total_seconds():
                return False
            is_over = await self.on_idle()
            pace.active()
            return is_over
        if time.monotonic() < self._asked_again_at:
            return False
        if await self.posts.is_all_done(one=self.options.one):
            return True
        # Some twenty reads: while others work or a retry waits, they are made ever more seldom.
        self._asking_again_in = min(self.lanes.limits.idle_poll_seconds, 2 * self._asking_again_in)
        self._asked_again_at = time.monotonic() + self._asking_again_in
        return False

    async def _endure(self, error: JobqError) -> None:
        """A backend in trouble is asked again for a while, and never taken for an empty queue; so is this machine."""
        now = time.monotonic()
        self._trouble_since = self._trouble_since or now
        patience = PATIENCE_LATER if self._has_connected else PATIENCE_AT_FIRST
        if not isinstance(error, Unreachable | NoRoom) or now - self._trouble_since > patience:
            self._fail(error)
            return
        logger.warning("trying again: %s", error)
        await self._wait_until(lambda: False, min(30.0, max(1.0, (now - self._trouble_since) / 4)))

    def _fail(self, error: JobqError) -> None:
        self.summary.error = self.summary.error or error
        self.stop()
