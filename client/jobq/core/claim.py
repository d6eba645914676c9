"""From a received ticket to jobs that may run: the claim.

Fast path: one transaction of merges with the etags in the ticket, no read. Whatever does not match is read and judged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jobq.core import outbox
from jobq.core.checkout_rows import forget_checkout
from jobq.core.decide import Verdict, claimed, judge
from jobq.core.groups import grouped
from jobq.core.lease import TicketLease
from jobq.core.payload import forget_blobs
from jobq.core.ports import Delivery
from jobq.core.realm import Realm
from jobq.core.transition import Unit, join, move
from jobq.core.undecodable import keep_undecodable
from jobq.errors import BadInput, Conflict, JobqError, LeaseLost, ReplyLost
from jobq.model.job import Job
from jobq.model.names import shard_of
from jobq.model.ticket import Entry, Ticket, decode_ticket

logger = logging.getLogger(__name__)

_RUN = (Verdict.CLAIM, Verdict.TAKE_OVER, Verdict.MINE)
_WRITE = (Verdict.CLAIM, Verdict.TAKE_OVER, Verdict.END_LOST, Verdict.END_CANCELLED, Verdict.SPLIT)


@dataclass(slots=True)
class Held:
    """A ticket this worker holds, and the jobs it has claimed under it."""

    lease: TicketLease
    lane: str
    ticket: Ticket
    jobs: list[Job] = field(default_factory=list)


async def claim(
    realm: Realm,
    lane: str,
    lease: TicketLease,
    *,
    worker: str,
    claim_id: str = "",
    next_ticket: str = "",
    on_lost: Callable[[Job, Job], None] = lambda before, after: None,
) -> Held | None:
    """Claim the jobs of a received ticket, or settle the ticket and return None if there is nothing left to run.

    With `next_ticket` another ticket, of that id, may take the job over as this one may; of several jobs none is
    claimed then, and each gets a ticket of its own.
    `on_lost` is told of each job whose worker was lost, as it was found and as it is now.
    Raises ReplyLost or Unreachable if the table does not answer: the ticket comes back when its lease ends.
    """
    delivery = lease.delivery
    try:
        ticket = _decode(delivery)
    except BadInput as error:
        await keep_undecodable(realm, lane, lease, str(error))
        return None
    claiming = _Claiming(realm, ticket, delivery, claim_id or realm.new_token(), worker, next_ticket, on_lost)
    jobs = await claiming.fast()
    if jobs is None:
        verdicts = await claiming.slow()
        if verdicts is None:
            logger.info("left ticket %s: its lease was lost before the claim", ticket.id)
            return None
        jobs = verdicts
    if jobs:
        return Held(lease, lane, ticket, jobs)
    try:
        await lease.complete()
    except (LeaseLost, ReplyLost) as error:
        logger.debug("left ticket %s: %s", ticket.id, error)
    return None


def _decode(delivery: Delivery) -> Ticket:
    ticket = decode_ticket(delivery.body)
    if len({shard_of(entry.job_id) for entry in ticket.entries}) > 1:
        raise BadInput("ticket whose jobs are of several shards")
    if len({entry.job_id for entry in ticket.entries}) < len(ticket.entries):
        raise BadInput("ticket with a job twice")
    return ticket


@dataclass(frozen=True, slots=True)
class _Step:
    before: Job
    verdict: Verdict
    after: Job | None


@dataclass(slots=True)
class _Claiming:
    realm: Realm
    ticket: Ticket
    delivery: Delivery
    claim_id: str
    worker: str
    next_ticket: str
    on_lost: Callable[[Job, Job], None]

    async def fast(self) -> list[Job] | None:
        """One transaction and no read; None if that did not work out, or may not have."""
        jobs = [entry.job for entry in self.ticket.entries if entry.job is not None]
        is_to_split = self.ticket.is_chunk and (self.delivery.number > 1 or self.next_ticket)
        if len(jobs) < len(self.ticket.entries) or is_to_split:
            return None
        try:
            return await self._write([self._step(job, Verdict.CLAIM) for job in jobs])
        except (Conflict, ReplyLost):
            return None

    async def slow(self) -> list[Job] | None:
        """Read, judge, write, until a write fits; None for a lease lost meanwhile."""
        entries = self.ticket.entries
        while True:
            rows = await self.realm.find_all(entry.job_id for entry in entries)
            verdicts = [self._judge(row, entry) for row, entry in zip(rows, entries, strict=True)]
            if Verdict.STALE in verdicts:
                return None
            judged = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if row is not None]
            mine = [row for row, verdict in judged if verdict is Verdict.MINE]
            try:
                return mine + await self._write(
                    [self._step(row, verdict) for row, verdict in judged if verdict in _WRITE]
                )
            except (Conflict, ReplyLost):
                continue

    def _judge(self, job: Job | None, entry: Entry) -> Verdict:
        verdict = judge(job, entry, self.ticket, self.delivery, self.claim_id)
        is_to_split = verdict is Verdict.CLAIM and self.ticket.is_chunk and self.next_ticket
        return Verdict.SPLIT if is_to_split else verdict

    def _step(self, job: Job, verdict: Verdict) -> _Step:
        after = claimed(
            job,
            verdict,
            claim_id=self.claim_id,
            delivery=self.delivery,
            worker=self.worker,
            now=self.realm.now(),
            next_ticket=self.next_ticket,
        )
        return _Step(job, verdict, after)

    async def _write(self, steps: list[_Step]) -> list[Job]:
        """All steps, in one transaction unless they are many; the jobs that may run now."""
        by_id = {step.before.id: step for step in steps}
        jobs = []
        for group in grouped((step.before, move(step.before, step.after)) for step in steps):
            jobs += await self._write_group([by_id[job.id] for job, _ in group], [unit for _, unit in group])
        return jobs

    async def _write_group(self, steps: list[_Step], units: list[Unit]) -> list[Job]:
        """Steps in one transaction; the jobs that may run now. Split ones get their own tickets."""
        splits = [step.after for step in steps if step.verdict is Verdict.SPLIT and step.after]
        promised = outbox.promise(self.realm, splits[0].batch, outbox.promises_of(splits)) if splits else None
        unit, firsts = join(units)
        etags = await self.realm.commit(unit.also(promised.change) if promised else unit)
        written = [
            (step.verdict, replace(step.after, etag=etags[first]))
            for step, first in zip(steps, firsts, strict=True)
            if step.after
        ]
        self._tell(steps)
        if promised:
            split = [job for verdict, job in written if verdict is Verdict.SPLIT]
            await outbox.deliver(self.realm, split, promised.key, etags[-1])
        for step in steps:
            await self._forget_checkout(step.before)
            if step.after is None:
                await forget_blobs(self.realm, step.before)
        return [job for verdict, job in written if verdict in _RUN]

    async def _forget_checkout(self, lost: Job) -> None:
        try:
            await forget_checkout(self.realm, lost)
        except JobqError as error:
            logger.debug("kept the row of a checkout of job %s until its lease ends: %s", lost.id, error)

    def _tell(self, steps: list[_Step]) -> None:
        for step in steps:
            if step.verdict is not Verdict.CLAIM:
                logger.warning("job %s: %s (delivery %d)", step.before.id, step.verdict.value, self.delivery.number)
            if step.verdict in (Verdict.TAKE_OVER, Verdict.END_LOST) and step.after:
                self.on_lost(step.before, step.after)
