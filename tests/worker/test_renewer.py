"""Leases that are kept, and leases that are lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobq.adapters.sqlite_queue import LIMITS
from jobq.core.lease import TicketLease
from jobq.core.ports import NO_DELAY, Backlog, Delivery
from jobq.errors import LeaseLost, Unreachable
from jobq.worker.renewer import Renewer
from tests.until import until


class FakeQueue:
    """Renewals answer as the test says, by message: an error, or an event to wait for."""

    limits = LIMITS

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.renewed: list[tuple[str, float]] = []
        self.asked: list[str] = []

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        self.asked.append(delivery.message_id)
        answer = self.answers.get(delivery.message_id)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
        self.renewed.append((delivery.message_id, time.monotonic()))
        return replace(delivery, receipt=delivery.receipt + "+")

    async def complete(self, delivery: Delivery) -> None:
        return None

    async def open(self) -> None:
        raise NotImplementedError

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        raise NotImplementedError

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        raise NotImplementedError

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        raise NotImplementedError

    async def look(self, limit: int) -> Backlog:
        raise NotImplementedError


def lease_of(queue: FakeQueue, message: str, *, seconds: float) -> TicketLease:
    lease = timedelta(seconds=seconds)
    return TicketLease(queue, Delivery(message, 1, b"", "r", lease), lease, time.monotonic())


@asynccontextmanager
async def renewing() -> AsyncIterator[Renewer]:
    renewer = Renewer()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(renewer.run())
        yield renewer
        running.cancel()


async def test_lease_is_renewed_at_a_third_of_its_length_again_and_again() -> None:
    queue = FakeQueue()
    lease = lease_of(queue, "m", seconds=1.5)
    started = lease.received_at
    lost: list[str] = []

    async with renewing() as renewer:
        renewer.keep(lease, lambda: lost.append("m"))
        await until(lambda: len(queue.renewed) >= 3)

    first = queue.renewed[0][1] - started
    assert 0.5 <= first < 1.5
    assert lease.delivery.receipt.startswith("r++")
    assert lease.seconds_left > 0
    assert lost == []


async def test_lease_shorter_than_asked_for_is_renewed_by_what_the_queue_gave() -> None:
    queue = FakeQueue()
    held = lease_of(queue, "m", seconds=1.5).delivery
    lease = TicketLease(queue, held, timedelta(minutes=10), time.monotonic())

    async with renewing() as renewer:
        renewer.keep(lease, lambda: None)
        await until(lambda: len(queue.renewed) >= 2)

    first, second = (at for _, at in queue.renewed[:2])
    assert 0.5 <= second - first < 1.5
    assert lease.seconds_left <= 1.5


async def test_renewal_that_fails_is_tried_again_until_it_succeeds() -> None:
    queue = FakeQueue(m=Unreachable("no answer"))
    lost: list[str] = []

    async with renewing() as renewer:
        renewer.keep(lease_of(queue, "m", seconds=6), lambda: lost.append("m"))
        await until(lambda: len(queue.asked) >= 2)
        queue.answers.clear()
        await until(lambda: queue.renewed)

    assert lost == []


async def test_lease_that_cannot_be_renewed_in_time_is_told_as_lost_once() -> None:
    queue = FakeQueue(m=Unreachable("no answer"))
    lease = lease_of(queue, "m", seconds=0.9)
    lost: list[float] = []

    async with renewing() as renewer:
        renewer.keep(lease, lambda: lost.append(lease.seconds_left))
        await until(lambda: lost)
        tries = len(queue.asked)
        renewer.keep(lease_of(queue, "other", seconds=0.3), lambda: None)
        await until(lambda: queue.renewed)

    assert len(lost) == 1
    assert lost[0] <= 0
    assert lease.is_over
    assert queue.asked.count("m") == tries > 1


async def test_lease_that_another_worker_has_is_told_as_lost_at_once() -> None:
    queue = FakeQueue(m=LeaseLost("it is another's"))
    lease = lease_of(queue, "m", seconds=3)
    lost: list[float] = []

    async with renewing() as renewer:
        renewer.keep(lease, lambda: lost.append(lease.seconds_left))
        await until(lambda: lost)

    assert len(lost) == len(queue.asked) == 1
    assert lost[0] > 0


async def test_renewal_that_hangs_ends_with_its_lease() -> None:
    queue = FakeQueue(m=asyncio.Event())
    lost: list[str] = []

    async with renewing() as renewer:
        renewer.keep(lease_of(queue, "m", seconds=0.6), lambda: lost.append("m"))
        await until(lambda: lost)

    assert lost == ["m"]


async def test_renewal_that_hangs_does_not_hold_up_the_others() -> None:
    # Given a renewal without an answer
    queue = FakeQueue(stuck=asyncio.Event())
    lost: list[str] = []
    async with renewing() as renewer:
        renewer.keep(lease_of(queue, "stuck", seconds=600), lambda: lost.append("stuck"))
        next(iter(renewer._kept.values())).due_at = 0.0
        renewer.keep(lease_of(queue, "well", seconds=0.9), lambda: lost.append("well"))
        await until(lambda: "stuck" in queue.asked)

        # When another is due, and due again
        await until(lambda: len(queue.renewed) >= 2)

    # Then it is renewed
    assert {message for message, _ in queue.renewed} == {"well"}
    assert lost == []


async def test_settled_ticket_is_not_renewed_and_not_lost() -> None:
    queue = FakeQueue()
    lease, other = lease_of(queue, "m", seconds=0.3), lease_of(queue, "other", seconds=0.9)
    lost: list[str] = []

    async with renewing() as renewer:
        renewer.keep(lease, lambda: lost.append("m"))
        await lease.complete()
        renewer.keep(other, lambda: lost.append("other"))
        await until(lambda: queue.renewed)

    assert "m" not in queue.asked
    assert lost == []
