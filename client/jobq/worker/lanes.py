"""The lanes a worker takes tickets from: the lowest first, new ones noticed, all of them waited at together."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobq.core.lease import TicketLease
from jobq.core.ports import Delivery, QueueLimits
from jobq.core.realm import EVERY_LANE, Realm
from jobq.errors import JobqError, NotFound
from jobq.model.names import DEFAULT_LANE, lane_order

logger = logging.getLogger(__name__)

MISSING_SECONDS = 30.0
"""How often a queue that was missing is asked for again: on Service Bus that takes a while, and holds up the others."""

Taken = tuple[str, TicketLease]
"""A lane, and a ticket that was received from it."""


@dataclass(slots=True)
class Lanes:
    realm: Realm
    lease: timedelta
    max_lane: str | None = None
    names: list[str] = field(default_factory=lambda: [DEFAULT_LANE])
    """Lowest first."""
    missing: dict[str, NotFound] = field(default_factory=dict)
    """Lanes that have no queue, where it has to be made by somebody: by the last look at them."""
    paused: frozenset[str] = frozenset()
    """Lanes that nothing is taken from, as of the last look."""
    _tried_at: float = -math.inf
    _looked_at: float = -math.inf
    _came: list[Taken] = field(default_factory=list)

    @property
    def limits(self) -> QueueLimits:
        return self.realm.queue(DEFAULT_LANE).limits

    @property
    def present(self) -> list[str]:
        return [lane for lane in self.names if lane not in self.missing]

    async def look(self, *, after: float = 0.0) -> None:
        """Which lanes there are; not again within `after` seconds."""
        if time.monotonic() - self._looked_at < after:
            return
        (lanes, paused), most = await self.realm.lanes_and_paused(), self.max_lane
        self.names = [lane for lane in lanes if most is None or lane_order(lane) <= lane_order(most)]
        paused = frozenset(lanes) if EVERY_LANE in paused else paused
        if paused != self.paused:
            logger.warning("%s", f"paused: lane {', '.join(sorted(paused))}" if paused else "not paused any more")
        self.paused = paused
        self._looked_at = time.monotonic()

    async def take(self, room: Callable[[], int]) -> list[Taken]:
        """Tickets for the room there is, a higher lane's only where the lower ones have none.

        Where queues are waited at, to be sure that one has nothing takes a while. So what there is can start first:
        what came in a `wait`, or what the lowest lane has that has anything.
        """
        if taken := self.came():
            return taken
        for lane in self._to_try():
            wanted = room() - len(taken)
            if wanted <= 0:
                break
            queue = self.realm.queue(lane)
            try:
                deliveries = await queue.receive(min(wanted, queue.limits.max_receive), lease=self.lease)
            except NotFound as error:
                self._miss(lane, error)
                continue
            except JobqError:
                if not taken:
                    raise
                break  # what other lanes gave is held, and nobody else would run it before its lease ends
            self.missing.pop(lane, None)
            taken += self._taken(lane, deliveries)
            if taken and queue.limits.waits:
                break
        return taken

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
        receiving = [asyncio.ensure_future(self._wait_at(lane, seconds)) for lane in self._open()]
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

    async def _wait_at(self, lane: str, seconds: float) -> None:
        wait = timedelta(seconds=seconds)
        try:
            deliveries = await self.realm.queue(lane).receive(1, lease=self.lease, wait=wait)
        except NotFound as error:
            self._miss(lane, error)
        else:
            self._came += self._taken(lane, deliveries)

    def _to_try(self) -> list[str]:
        """The lanes that have a queue, and now and then those that had none."""
        if time.monotonic() - self._tried_at < MISSING_SECONDS:
            return self._open()
        self._tried_at = time.monotonic()
        return [lane for lane in self.names if lane not in self.paused]

    def _open(self) -> list[str]:
        return [lane for lane in self.present if lane not in self.paused]

    def _miss(self, lane: str, error: NotFound) -> None:
        """A lane without a queue keeps nobody from the others. Raises the error where there are none."""
        if lane not in self.missing:
            logger.error("went on without lane %s: %s", lane, error)
        self.missing[lane] = error
        if not self.present:
            raise error

    def _taken(self, lane: str, deliveries: list[Delivery]) -> list[Taken]:
        queue, now = self.realm.queue(lane), time.monotonic()
        return [(lane, TicketLease(queue, delivery, self.lease, now)) for delivery in deliveries]
