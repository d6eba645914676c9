"""One ticket from its receipt to its settlement: a slot, the claim, the jobs, their ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from jobq.core.claim import Held, claim
from jobq.core.finish import finish, give_back, settle
from jobq.core.lease import TicketLease
from jobq.core.ports import Delivery
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.errors import BadInput, JobqError, LeaseLost, NoRoom, Unreachable
from jobq.model.job import Job, JobState, Outcome, Reason
from jobq.model.ticket import decode_ticket
from jobq.telemetry import WorkerTelemetry
from jobq.worker.attempt import Attempt
from jobq.worker.job_run import JobRunner
from jobq.worker.pool import Pool

logger = logging.getLogger(__name__)

HOARD_SECONDS = 2.0
"""A ticket received ahead, or its job, goes back if no slot has become free for it by then."""
SUSPECT_PATIENCE = 60.0
"""The same of a job whose worker was lost: its message has to stay, and a broker counts how often it comes."""
TAIL_SECONDS = 30.0
"""The same for a job of a chunk."""
GATHER_SECONDS = 0.08
"""The end of a short job is recorded within this time, together with others."""
SUSPECT_SECONDS = 5.0
"""A job whose worker was lost runs for so long before the next such job is claimed here: it may have killed its worker.

Those that were lost together come back together; claimed together, they would use up one another's crash limit.
"""
RETRY_SECONDS = 2.0


class End(Enum):
    """What became of one job of a ticket."""

    RECORDED = "recorded"
    """Or given back, not started."""
    LEFT = "left"
    """The lease was lost, or its end could not be recorded: the ticket comes back by itself."""


@dataclass(slots=True)
class _Turn:
    """Of a job that may have killed its worker; it ends by itself after SUSPECT_SECONDS."""

    lock: asyncio.Lock
    _timer: asyncio.TimerHandle | None = None

    async def take(self) -> bool:
        await self.lock.acquire()
        self._timer = asyncio.get_running_loop().call_later(SUSPECT_SECONDS, self.end)
        return True

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
            self.lock.release()


@dataclass(slots=True)
class TicketRunner:
    realm: Realm
    pool: Pool
    jobs: JobRunner
    telemetry: WorkerTelemetry
    cancelled: set[str] = field(default_factory=set)
    """Jobs to be cancelled that do not run here; they may wait for a slot."""

    async def run(self, lane: str, lease: TicketLease) -> None:
        """Never raises for a job's or a backend's sake: a ticket that is not settled comes back when its lease ends."""
        mine: set[Attempt] = set()
        self.pool.renewer.keep(lease, lambda: _abandon(mine), lambda: _tell_renewed(mine))
        try:
            await self._run(lane, lease, mine)
        except JobqError as error:
            logger.warning("left message %s of lane %s: %s", lease.delivery.message_id, lane, error)
        except Exception:
            logger.exception("left message %s of lane %s", lease.delivery.message_id, lane)
        finally:
            self.pool.renewer.drop(lease)

    def cancel(self, job_id: str) -> None:
        """Stop a job that runs; one that is claimed and waits for a slot is not started."""
        if job_id in self.jobs.attempts:
            self.jobs.attempts[job_id][1].stop(Reason.CANCELLED)
        else:
            self.cancelled.add(job_id)

    def preempt(self, job_id: str) -> None:
        if job_id in self.jobs.attempts:
            self.jobs.attempts[job_id][1].stop(Reason.PREEMPTED)

    async def _run(self, lane: str, lease: TicketLease, mine: set[Attempt]) -> None:
        turn, count = _Turn(self.pool.suspects), jobs_in(lease.delivery)
        self.pool.unclaimed += count
        try:
            try:
                held, has_slot = await self._claim(lane, lease, turn)
            finally:
                self.pool.unclaimed -= count
            if held is not None:
                await self._run_jobs(held, mine, has_slot=has_slot)
        finally:
            turn.end()

    async def _claim(self, lane: str, lease: TicketLease, turn: _Turn) -> tuple[Held | None, bool]:
        """What is claimed, and whether a slot is taken for its first job; what cannot start soon is given back."""
        has_slot, is_suspect = False, await self._is_suspect(lease)
        patience = SUSPECT_PATIENCE if is_suspect else HOARD_SECONDS
        is_in_time = not is_suspect or await _in_time(turn.take(), patience)
        if is_in_time and not self._needs_no_slot(lease):
            is_in_time = has_slot = await _in_time(self.pool.slots.take(is_claimed=False), patience)
        if not is_in_time:
            await _return_unclaimed(lease, is_suspect=is_suspect)
            return None, False
        held = None
        self.pool.unclaimed -= has_slot  # that slot counts for it now
        try:
            held = await claim(self.realm, lane, lease, worker=self.pool.worker, on_lost=self.telemetry.lost)
        finally:
            self.pool.unclaimed += has_slot
            if has_slot and held is None:
                self.pool.slots.give()
        return held, has_slot

    async def _is_suspect(self, lease: TicketLease) -> bool:
        """Whether the ticket's job was running when its worker was lost."""
        if lease.delivery.number == 1 or jobs_in(lease.delivery) > 1:
            return False
        with suppress(BadInput):
            job = await self.realm.find(decode_ticket(lease.delivery.body).entries[0].job_id)
            return job is not None and job.state is JobState.RUNNING
        return False

    def _needs_no_slot(self, lease: TicketLease) -> bool:
        """Whether to claim before a slot is free: while jobs are short, so that claims go out together.

        Not a ticket delivered again: its job may have killed its worker, and whatever a dead worker has claimed counts
        as lost. A chunk delivered again is only split.
        """
        if self.pool.slots.is_closed:
            return False
        is_first = lease.delivery.number == 1
        return (is_first and self.pool.is_ahead()) or (not is_first and jobs_in(lease.delivery) > 1)

    async def _run_jobs(self, held: Held, mine: set[Attempt], *, has_slot: bool) -> None:
        """All jobs of a ticket, as slots become free; then the ticket's settlement."""
        chosen = held.jobs[:1] if self.pool.options.one else held.jobs
        patience = TAIL_SECONDS if held.ticket.is_chunk else HOARD_SECONDS
        runs = [self._run_when_free(held, job, mine, patience) for job in chosen[has_slot:]]
        if has_slot:
            runs.insert(0, self._run_job(held, chosen[0], mine))
        runs += [self._give_back(held, job) for job in held.jobs[len(chosen) :]]
        ends = await together(map(_left_if_in_trouble, runs, held.jobs))
        self.pool.renewer.drop(held.lease)
        if End.LEFT not in ends:
            await settle(held)

    async def _run_when_free(self, held: Held, job: Job, mine: set[Attempt], patience: float) -> End:
        has_slot = await _in_time(self.pool.slots.take(is_claimed=True), patience)
        return await (self._run_job(held, job, mine) if has_slot else self._give_back(held, job))

    async def _run_job(self, held: Held, job: Job, mine: set[Attempt]) -> End:
        """With a slot taken, which is given back before the end is recorded."""
        with self.telemetry.attempt(job) as span:
            try:
                if held.lease.is_over:
                    return End.LEFT
                if self.pool.slots.is_closed or job.id in self.cancelled:
                    self.cancelled.discard(job.id)
                    return await self._give_back(held, job)
                outcome = await self.jobs.run(job, held.lease, mine, span.traceparent)
                self.pool.is_in_trouble = False
            except NoRoom as error:
                self.pool.trouble, self.pool.is_in_trouble = error, True
                return await self._give_back(held, job)
            finally:
                self.pool.slots.give()
            if outcome is None:
                span.left()
                return End.LEFT
            self.pool.on_outcome(outcome)
            after = await self._record(held, job, outcome)
            span.ended(outcome, after)
        if after is not None:
            self.pool.on_end(after)
        return End.RECORDED

    async def _give_back(self, held: Held, job: Job) -> End:
        await give_back(self.realm, held, [job])
        return End.RECORDED

    async def _record(self, held: Held, job: Job, outcome: Outcome) -> Job | None:
        """Until it is stored, for as long as the lease holds."""
        while True:
            try:
                patience = GATHER_SECONDS if self.pool.is_ahead() and not self.pool.slots.is_closed else 0.0
                after = await finish(self.realm, held, job, outcome, patience=patience)
                break
            except Unreachable as error:
                if held.lease.is_over or held.lease.seconds_left < RETRY_SECONDS:
                    raise LeaseLost(f"the end of job {job.id} could not be recorded in time: {error}") from error
                logger.warning("could not record the end of job %s yet: %s", job.id, error)
                await asyncio.sleep(RETRY_SECONDS)
        _log_end(job, after, outcome)
        return after


def jobs_in(delivery: Delivery) -> int:
    """How many jobs a message speaks of, without decoding it: in a payload the quotes would be escaped."""
    return max(1, delivery.body.count(b'{"i":'))


async def _return_unclaimed(lease: TicketLease, *, is_suspect: bool) -> None:
    """Give a ticket back. If it can, as a new message: a broker counts how often one comes and gives it up at last, and
    a chunk delivered again would have to be split.

    A job that runs was claimed by this very message, so that no other can take it over; of a chunk that was delivered
    before, some may.
    """
    is_chunk, is_first = jobs_in(lease.delivery) > 1, lease.delivery.number == 1
    is_counted = bool(lease.queue.limits.dead_letters)
    if is_suspect or (is_chunk and not is_first) or not (is_chunk or is_counted):
        await lease.release(lease.delivery.body)
        return
    await lease.queue.send([lease.delivery.body])
    await lease.complete()


async def _in_time(wait: Coroutine[Any, Any, bool], seconds: float) -> bool:
    """What it answers, or False when the time is over."""
    try:
        async with asyncio.timeout(seconds):
            return await wait
    except TimeoutError:
        return False


async def _left_if_in_trouble(run: Coroutine[Any, Any, End], job: Job) -> End:
    """One job's trouble must not end the others of its chunk."""
    try:
        return await run
    except JobqError as error:
        logger.warning("left job %s: %s", job.id, error)
        return End.LEFT


def _abandon(attempts: set[Attempt]) -> None:
    for attempt in attempts:
        attempt.abandon()


def _tell_renewed(attempts: set[Attempt]) -> None:
    for attempt in attempts:
        attempt.lease_renewed()


def _log_end(job: Job, after: Job | None, outcome: Outcome) -> None:
    if after is None:
        logger.warning("job %s is gone or another worker's; its attempt was not recorded", job.id)
        return
    how = "ok" if outcome.is_ok else f"{outcome.reason}"
    logger.info("finished job %s: %s in %.1f s, now %s", job.id, how, outcome.seconds, after.state)
