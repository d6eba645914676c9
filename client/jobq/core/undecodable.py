"""A message that no version of a ticket: given back twice, then kept byte for byte in the list of failed jobs."""

from __future__ import annotations

import logging
from datetime import timedelta

from jobq.core.lease import TicketLease
from jobq.core.ports import Delivery
from jobq.core.realm import Realm
from jobq.core.rows import INLINE_BYTES
from jobq.core.transition import move
from jobq.errors import Conflict, LeaseLost, ReplyLost
from jobq.model.job import TAIL_CHARS, Job, JobState, Reason, Spec

logger = logging.getLogger(__name__)

DELIVERIES = 3
"""Another version of jobq may be able to read it, so it is given back this often less one."""

BATCH = "undecodable"
MAX_WHY = 500
"""Characters of the reason: it may quote the message."""


async def keep_undecodable(realm: Realm, lane: str, lease: TicketLease, why: str) -> None:
    """Give the message back, or at its third delivery move it to the failed ones. Never raises for its sake."""
    delivery, why = lease.delivery, why[:MAX_WHY]
    try:
        if delivery.number < DELIVERIES:
            logger.warning("gave back message %s of lane %s: %s", delivery.message_id, lane, why)
            await lease.release(delivery.body, delay=timedelta(seconds=delivery.number))
            return
        await keep(realm, lane, delivery, why)
        await lease.complete()
    except (LeaseLost, ReplyLost) as error:
        logger.warning("left message %s of lane %s: %s", delivery.message_id, lane, error)


async def keep(realm: Realm, lane: str, delivery: Delivery, why: str) -> None:
    """Store a message as a failed job, unless it is stored already. Raises ReplyLost, Unreachable."""
    message_id, body = delivery.message_id, delivery.body
    job_id = f"{BATCH}-{lane}-{message_id}"
    key = f"payload/{realm.name}/{job_id}"
    await realm.stack.blobs.put(key, body)
    now = realm.now()
    job = Job(
        id=job_id,
        batch=BATCH,
        spec=Spec(lanes=(lane,)),
        state=JobState.FAILED,
        reason=Reason.UNDECODABLE,
        message=f"{why}; the message is kept byte for byte: jobq logs {job_id}",
        tail=body[: min(TAIL_CHARS, INLINE_BYTES)].decode(errors="backslashreplace"),
        payload_blob=key,
        log=key,
        pushed_at=now,
        ended_at=now,
    )
    try:
        await realm.commit(move(None, job))
    except (Conflict, ReplyLost):
        if await realm.find(job_id) is None:
            raise
    logger.error("kept message %s of lane %s as failed job %s: %s", message_id, lane, job_id, why)
