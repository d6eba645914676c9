"""Checkout: a job leased to a caller who runs it elsewhere, and says over HTTP how that ended.

Nobody renews a message for such a caller. So the claim names a ticket that will bring the job back; that ticket is
sent, delayed to the end of the lease; the message that was received is completed; then the caller is answered. Whoever
extends the lease names another ticket in its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from jobq.core import outbox
from jobq.core.acknowledge import ack, held, nack, put_back, reject
from jobq.core.checkout_rows import LANE, new_row, row_of
from jobq.core.claim import claim
from jobq.core.lease import TicketLease
from jobq.core.payload import with_payload
from jobq.core.ports import NO_DELAY, Delivery, TicketQueue
from jobq.core.realm import Realm, is_paused
from jobq.core.realm_settings import RealmSettings, settings_of
from jobq.core.together import together
from jobq.core.transition import move
from jobq.core.workers import CHECKOUT
from jobq.errors import BadInput, Conflict, JobqError, LeaseLost, NotFound, ReplyLost, Unreachable
from jobq.model.job import Job
from jobq.model.names import is_up_to, lane_order, shard_of

__all__ = ["CHECKOUT", "CheckedOut", "ack", "check_out", "extend", "nack"]

logger = logging.getLogger(__name__)

HOLD = timedelta(minutes=1)
"""For so long a message is received: until it is claimed, replaced and completed."""


@dataclass(frozen=True, slots=True)
class CheckedOut:
    realm: str
    job: Job
    """As claimed, with its payload."""
    token: str
    """Names the lease: ack, nack and extend need it."""
    lane: str
    """It was taken from."""
    lease: timedelta


async def check_out(
    realms: Sequence[Realm], *, count: int = 1, lease: timedelta | None = None, max_lane: str | None = None
) -> list[CheckedOut]:
    """Up to `count` jobs, from the lowest lane over all the realms, of which none is another caller's.

    Without a `lease`, as long as the lane or its realm says; never longer than a ticket can be delayed. What has no
    answer comes back by itself. Raises NotFound where none of the lanes has a queue, and Unreachable, where that left
    nothing to hand out.
    """
    if count < 1:
        raise BadInput(f"{count} jobs cannot be checked out; ask for 1 or more")
    _check(lease)
    places = [place for of_realm in await together(map(_places, realms)) for place in of_realm]
    places = [place for place in places if is_up_to(place.lane, max_lane)]
    places.sort(key=lambda place: lane_order(place.lane))
    taking = _Taking(count, lease)
    await taking.take(places)
    if not taking.held and not taking.error and await _repair(places):
        await taking.take(places)
    if not taking.held and taking.error:
        raise taking.error
    return taking.held


async def extend(realm: Realm, job_id: str, token: str, *, lease: timedelta | None = None) -> CheckedOut:
    """Hold it for `lease` from now on. `job.cancel_requested` says whether to stop. Raises LeaseLost."""
    _check(lease)
    job = held(await realm.find(job_id), job_id, token)
    row = await row_of(realm, job)
    lane = row.labels[LANE]
    length = _length(realm.queue(lane), lease or (await settings_of(realm)).lease_of(lane))
    await row.beat([job], believe=length)
    try:
        job = await _name_another(realm, job, lane, length)
    except LeaseLost:
        await row.leave()
        raise
    with suppress(BadInput):  # its holder has it already
        job = await with_payload(realm, job)
    return CheckedOut(realm.name, job, token, lane, length)


async def _name_another(realm: Realm, job: Job, lane: str, lease: timedelta) -> Job:
    """Another next ticket, due at the end of the lease: named in the row with a promise of it, then sent."""
    token, following, shard = job.claim, realm.new_token(), shard_of(job.id)
    while job.next_ticket != following:
        after = replace(job, next_ticket=following)
        promises = [(lane, ((job.id, job.generation),))]
        promised = outbox.promise(realm, job.batch, promises, due=realm.now() + lease, ticket=following)
        try:
            etags = await realm.commit(move(job, after).also(promised.change))
        except (Conflict, ReplyLost):
            job = held(await realm.find(job.id), job.id, token)
            continue
        job = replace(after, etag=etags[0])
        try:
            await outbox.send_next(realm, lane, job, delay=lease)
        except Unreachable as error:
            logger.info("left the next ticket of job %s to the next sweep: %s", job.id, error)
            return job
        await outbox.forget(realm, shard, promised.key, etags[-1])
    return job


def _check(lease: timedelta | None) -> None:
    if lease is not None and lease <= NO_DELAY:
        raise BadInput("a lease is longer than zero")


def _length(queue: TicketQueue, lease: timedelta) -> timedelta:
    return min(lease, queue.limits.max_delay)


@dataclass(frozen=True, slots=True)
class _Place:
    """A lane of a realm that jobs may be taken from."""

    realm: Realm
    lane: str
    settings: RealmSettings

    @property
    def queue(self) -> TicketQueue:
        return self.realm.queue(self.lane)


async def _places(realm: Realm) -> list[_Place]:
    """None of a realm that was never used, or is being deleted."""
    try:
        settings = await settings_of(realm)
    except NotFound:
        return []
    return [_Place(realm, lane, settings) for lane in settings.lanes if not is_paused(lane, settings.paused)]


async def _repair(places: Sequence[_Place]) -> int:
    """Send what interrupted steps owe, before it is said that there is nothing; how many rows there were."""
    realms = {place.realm.name: place.realm for place in places}
    return sum(await together(map(_repair_realm, realms.values())))


async def _repair_realm(realm: Realm) -> int:
    try:
        return await outbox.repair_all(realm)
    except NotFound:
        return 1  # of a lane without a queue; the others' tickets are sent


@dataclass(slots=True)
class _Taking:
    """One call's progress through the places."""

    count: int
    lease: timedelta | None
    held: list[CheckedOut] = field(default_factory=list)
    error: JobqError | None = None
    """What keeps it from going on."""

    async def take(self, places: Sequence[_Place]) -> None:
        """From one place after the other, until there are enough. A missing queue keeps nobody from the others."""
        missing: list[NotFound] = []
        for place in places:
            try:
                await self._take_from(place)
            except NotFound as error:
                missing.append(error)
            except JobqError as error:
                self.error = error
            if self.error or len(self.held) == self.count:
                return
        if missing and len(missing) == len(places):
            self.error = missing[0]

    async def _take_from(self, place: _Place) -> None:
        while self.error is None and (wanted := self.count - len(self.held)):
            deliveries = await place.queue.receive(min(wanted, place.queue.limits.max_receive), lease=HOLD)
            if not deliveries:
                return
            await together(self._try_one(place, delivery) for delivery in deliveries)

    async def _try_one(self, place: _Place, delivery: Delivery) -> None:
        """One ticket's trouble must not lose the answers of the others."""
        try:
            taken = await self._take_one(place, delivery)
        except JobqError as error:
            logger.warning("left message %s of lane %s: %s", delivery.message_id, place.lane, error)
            self.error = error
            return
        if taken is not None:
            self.held.append(taken)

    async def _take_one(self, place: _Place, delivery: Delivery) -> CheckedOut | None:
        """What its caller is answered; None if there was nothing in it, or more than one job."""
        realm, lane, token = place.realm, place.lane, place.realm.new_token()
        length = _length(place.queue, self.lease or place.settings.lease_of(lane))
        message = TicketLease(place.queue, delivery, HOLD, time.monotonic())
        claimed = await claim(
            realm, lane, message, worker=CHECKOUT + token, claim_id=token, next_ticket=realm.new_token()
        )
        if claimed is None:
            return None
        (job,) = claimed.jobs
        try:
            await new_row(realm, job, lane).beat([job], believe=length)
            whole = await _whole(realm, job)
            if whole is not None:
                await outbox.send_next(realm, lane, job, delay=length)
            await message.complete()
        except JobqError:
            await _undo(realm, job)
            raise
        return CheckedOut(realm.name, whole, token, lane, length) if whole else None


async def _whole(realm: Realm, job: Job) -> Job | None:
    """With its payload; None if that cannot be had, which ends the job."""
    try:
        return await with_payload(realm, job)
    except BadInput as error:
        await reject(realm, job, str(error))
        return None


async def _undo(realm: Realm, job: Job) -> None:
    """Nobody is told of this checkout. Where it cannot be taken back, the job comes back as from a lost worker."""
    try:
        await put_back(realm, job)
    except JobqError as error:
        logger.info("left job %s, which was not handed out: %s", job.id, error)
