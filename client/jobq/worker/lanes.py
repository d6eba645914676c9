"""The lanes a worker takes tickets from: the lowest first over all its realms, all of them waited at together."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

from jobq.core.lease import TicketLease
from jobq.core.ports import NO_DELAY, QueueLimits
from jobq.core.realm import Realm, is_paused
from jobq.core.realm_settings import RealmSettings, settings_or_default
from jobq.errors import JobqError, NotAllowed, NotFound
from jobq.model.names import DEFAULT_LANE, is_up_to, lane_order

logger = logging.getLogger(__name__)

MISSING_SECONDS = 30.0
"""How often a queue that was missing is asked for again: on Service Bus that takes a while, and holds up the others."""


class Taken(NamedTuple):
    """A ticket, and where it was received."""

    realm: Realm
    lane: str
    lease: TicketLease


@dataclass(eq=False, slots=True)
class RealmLanes:
    """The lanes of one realm, as of the last look."""

    realm: Realm
    lease: timedelta | None = None
    """Of every lane, whatever the realm is set to."""
    max_lane: str | None = None
    names: list[str] = field(default_factory=lambda: [DEFAULT_LANE])
    """Lowest first."""
    missing: dict[str, NotFound | NotAllowed] = field(default_factory=dict)
    """Lanes without a queue, where it has to be made by somebody, or without a role for it: by the last question."""
    paused: frozenset[str] = frozenset()
    """Lanes that nothing is taken from."""
    is_closed: bool = False
    """Being deleted: as paused, and nothing is waited for."""
    turn: int = 0
    """When something was taken here last, as a number that grows."""
    _settings: RealmSettings = field(default_factory=RealmSettings)
    _dry: set[str] = field(default_factory=set)
    """Lanes that had nothing when they were asked last."""

    async def look(self) -> None:
        """One read."""
        settings = await settings_or_default(self.realm)
        self.names = [lane for lane in settings.lanes if is_up_to(lane, self.max_lane)]
        paused = frozenset(lane for lane in settings.lanes if is_paused(lane, settings.paused))
        if settings.is_deleting and not self.is_closed:
            logger.warning("%s is being deleted: nothing more is taken from it", self.realm.address)
        elif paused != self.paused:
            what = f"paused: lane {', '.join(sorted(paused, key=lane_order))}" if paused else "not paused any more"
            logger.warning("%s (%s)", what, self.realm.address)
        self._settings, self.paused, self.is_closed = settings, paused, settings.is_deleting

    def lease_of(self, lane: str) -> timedelta:
        return self.lease or self._settings.lease_of(lane)

    def longest_lease(self) -> timedelta:
        return max(map(self.lease_of, self.names), default=self.lease_of(DEFAULT_LANE))

    @property
    def present(self) -> list[str]:
        return [lane for lane in self.names if lane not in self.missing]

    def to_ask(self, *, also_missing: bool = False) -> list[str]:
        lanes = [] if self.is_closed else self.names if also_missing else self.present
        return [lane for lane in lanes if lane not in self.paused]

    def is_dry(self, lane: str) -> bool:
        return lane in self._dry

    async def receive(self, lane: str, most: int, *, wait: timedelta = NO_DELAY) -> list[Taken]:
        """None of a lane that is missing, which is noted. Raises what the queue raises otherwise."""
        queue, lease = self.realm.queue(lane), self.lease_of(lane)
        try:
            deliveries = await queue.receive(min(most, queue.limits.max_receive), lease=lease, wait=wait)
        except (NotFound, NotAllowed) as error:
            if lane not in self.missing:
                logger.error("went on without lane %s of %s: %s", lane, self.realm.address, error)
            self.missing[lane] = error
            return []
        self.missing.pop(lane, None)
        (self._dry.discard if deliveries else self._dry.add)(lane)
        now = time.monotonic()
        return [Taken(self.realm, lane, TicketLease(queue, delivery, lease, now)) for delivery in deliveries]


@dataclass(slots=True)
class Lanes:
    """Of all the realms that a worker takes tickets from."""

    realms: list[RealmLanes]
    """Others may add to it, and take from it. Never empty."""
    _turns: int = 0
    _tried_at: float = -math.inf
    _came: list[Taken] = field(default_factory=list)

    @property
    def limits(self) -> QueueLimits:
        return self.realms[0].realm.queue(DEFAULT_LANE).limits

    @property
    def count(self) -> int:
        return sum(len(realm.names) for realm in self.realms)

    async def take(self, room: Callable[[], int]) -> list[Taken]:
        """Tickets for the room there is, a higher lane's only where the lower ones have none in any realm.

        Realms with the same lane take turns, and share the room. Where queues are waited at, to be sure that one has
        nothing takes a while. So what there is can start first: what came in a `wait`, or what the first lane has that
        has anything.
        """
        if taken := self.came():
            return taken
        sources = self._to_try()
        for n, (realm, lane) in enumerate(sources):
            wanted = room() - len(taken)
            if wanted <= 0:
                break
            sharing = sum(other == lane and not some.is_dry(other) for some, other in sources[n:])
            try:
                got = await realm.receive(lane, math.ceil(wanted / max(1, sharing)))
            except JobqError:
                if not taken:
                    raise
                break  # what other lanes gave is held, and nobody else would run it before its lease ends
            taken += got
            if got:
                self._turns += 1
                realm.turn = self._turns
            if taken and self.limits.waits:
                break
        self._check()
        return taken

    def has_come_from(self, realm: str) -> bool:
        """Whether `came` has any of it."""
        return any(ticket.realm.name == realm for ticket in self._came)

    def came(self) -> list[Taken]:
        """Tickets that came in a `wait` and were not taken yet."""
        came, self._came = self._came, []
        return came

    async def wait(self, waiting: Coroutine[Any, Any, None], seconds: float) -> None:
        """As long as `waiting` takes, about so many seconds; where queues can be waited at, until a ticket has come.

        At all lanes at once: each was asked in its turn before, and had nothing. The next `take` gives what has come.
        """
        if not self.limits.waits:
            await waiting
            return
        wait = timedelta(seconds=seconds)
        receiving = [asyncio.ensure_future(self._wait_at(realm, lane, wait)) for realm, lane in self._open()]
        tasks = [asyncio.ensure_future(waiting), *receiving]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in receiving:
            if not task.cancelled():
                task.result()  # where a lane is in trouble, its error; what others gave is kept
        self._check()

    async def _wait_at(self, realm: RealmLanes, lane: str, wait: timedelta) -> None:
        self._came += await realm.receive(lane, 1, wait=wait)

    def _to_try(self) -> list[tuple[RealmLanes, str]]:
        """The lanes that have a queue, and now and then those that had none."""
        if time.monotonic() - self._tried_at < MISSING_SECONDS:
            return self._open()
        self._tried_at = time.monotonic()
        return self._open(also_missing=True)

    def _open(self, *, also_missing: bool = False) -> list[tuple[RealmLanes, str]]:
        """Lowest first; at equal lanes the realm first that had its turn longest ago."""
        lanes = [(realm, lane) for realm in self.realms for lane in realm.to_ask(also_missing=also_missing)]
        return sorted(lanes, key=lambda source: (lane_order(source[1]), source[0].turn))

    def _check(self) -> None:
        """A lane that is missing keeps nobody from the others. Raises its error where there are none."""
        if any(realm.present for realm in self.realms):
            return
        for realm in self.realms:
            for lane in realm.names:
                raise realm.missing[lane]
