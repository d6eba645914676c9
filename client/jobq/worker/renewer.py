"""Keeps the held tickets: each is renewed at a third of its lease, apart from anything a job or an upload can block."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from jobq.core.lease import TicketLease
from jobq.errors import JobqError, LeaseLost

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0


@dataclass(slots=True)
class _Kept:
    lease: TicketLease
    on_lost: Callable[[], None]
    on_renewed: Callable[[], None]
    due_at: float


@dataclass(slots=True)
class Renewer:
    """`run` it for the worker's life. Whoever holds a lease is told once if it is lost."""

    _kept: dict[int, _Kept] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def keep(
        self, lease: TicketLease, on_lost: Callable[[], None], on_renewed: Callable[[], None] = lambda: None
    ) -> None:
        self._kept[id(lease)] = _Kept(lease, on_lost, on_renewed, _due_at(lease))
        self._changed.set()

    def drop(self, lease: TicketLease) -> None:
        self._kept.pop(id(lease), None)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as renewals:
            while True:
                self._changed.clear()
                now = time.monotonic()
                for kept in [kept for kept in self._kept.values() if kept.due_at <= now]:
                    kept.due_at = math.inf  # until its renewal has ended: one that hangs must not hold up the others
                    renewals.create_task(self._renew(kept))
                soonest = min((kept.due_at for kept in self._kept.values()), default=math.inf)
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if soonest == math.inf else soonest - now):
                        await self._changed.wait()

    async def _renew(self, kept: _Kept) -> None:
        lease = kept.lease
        if lease.is_over:
            self.drop(lease)
            return
        try:
            async with asyncio.timeout(max(0.1, lease.seconds_left)):
                await lease.renew()
            kept.due_at = _due_at(lease)
            kept.on_renewed()
        except (JobqError, TimeoutError) as error:
            if not isinstance(error, LeaseLost) and lease.seconds_left > 0:
                logger.warning("could not renew a lease, %.0f s left: %s", lease.seconds_left, error)
                kept.due_at = time.monotonic() + min(RETRY_SECONDS, lease.delivery.lease.total_seconds() / 12)
            elif self._kept.pop(id(lease), None):
                lease.is_over = True
                logger.error("lost the lease of message %s: %s", lease.delivery.message_id, error)
                kept.on_lost()
        finally:
            self._changed.set()


def _due_at(lease: TicketLease) -> float:
    return lease.received_at + lease.delivery.lease.total_seconds() / 3
