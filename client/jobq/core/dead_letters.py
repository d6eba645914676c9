"""Tickets that the broker gave up to deliver: their jobs end as failed, where people look for what went wrong.

A broker does so when a message was delivered over and over and never settled, or when it expired in the queue. Both are
settings of the queue; where they are as jobq wants them this is rare. `retry` gives such a job new tickets.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from jobq.core.decide import given_up
from jobq.core.operate import change
from jobq.core.payload import forget_blobs
from jobq.core.ports import Delivery, TicketQueue
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.core.undecodable import keep
from jobq.errors import BadInput, LeaseLost, NotAllowed, NotFound
from jobq.model.job import Job
from jobq.model.names import queue_name
from jobq.model.ticket import Entry, Ticket, decode_ticket

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)


async def read_dead_letters(realm: Realm) -> int:
    """How many there were; what they mean is recorded. Raises Unreachable."""
    return sum(await together(_read_lane(realm, lane) for lane in await realm.lanes()))


async def _read_lane(realm: Realm, lane: str) -> int:
    suffix = realm.queue(lane).limits.dead_letters
    if not suffix:
        return 0
    queue, count = realm.stack.queue(queue_name(realm.name, lane) + suffix), 0
    try:
        while deliveries := await queue.receive(queue.limits.max_receive, lease=LEASE):
            for delivery in deliveries:
                await _bury(realm, lane, queue, delivery)
                count += 1
    except (NotAllowed, NotFound) as error:  # it must not keep the sweeper from all else
        logger.warning("could not read the dead letters of lane %s: %s", lane, error)
    return count


async def _bury(realm: Realm, lane: str, queue: TicketQueue, delivery: Delivery) -> None:
    """Row first: a letter whose completion fails comes again, and says nothing new."""
    try:
        ticket = decode_ticket(delivery.body)
    except BadInput as error:
        await keep(realm, lane, delivery, f"{error}; {delivery.dead_reason}")
    else:
        for entry in ticket.entries:
            await _give_up(realm, entry, ticket, delivery)
    try:
        await queue.complete(delivery)
    except LeaseLost as error:
        logger.debug("left dead letter %s: %s", delivery.message_id, error)


async def _give_up(realm: Realm, entry: Entry, ticket: Ticket, delivery: Delivery) -> None:
    claim_id, now = realm.new_token(), realm.now()
    before: Job | None = None

    def decide(job: Job) -> Job | None:
        nonlocal before
        before = job
        return given_up(job, entry, ticket, delivery, claim_id=claim_id, now=now)

    try:
        job = await change(realm, entry.job_id, decide)
    except NotFound:
        return  # its ticket outlived it
    if job is None and before is not None:
        await forget_blobs(realm, before)
    if job is None or job.claim == claim_id:
        logger.error("job %s: its ticket is a dead letter (%s)", entry.job_id, delivery.dead_reason)
