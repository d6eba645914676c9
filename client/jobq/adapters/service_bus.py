"""The `TicketQueue` port on Azure Service Bus queues: peek-lock, over AMQP, through the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from azure.servicebus import ServiceBusMessageState, ServiceBusReceivedMessage
from azure.servicebus.amqp import AmqpMessageBodyType

from jobq.adapters.service_bus_client import DEAD_LETTERS, BusClient
from jobq.adapters.service_bus_intake import Intake
from jobq.adapters.service_bus_receiver import BusReceiver
from jobq.adapters.service_bus_sender import DELIVERIES, BusSender
from jobq.core.ports import NO_DELAY, Backlog, Delivery, QueueLimits, Waiting
from jobq.errors import BadInput, TooLarge

LIMITS = QueueLimits(
    # Of the 256 KiB that a message may have in the Standard tier, the rest is for its header and properties.
    max_body_bytes=250_000,
    max_lease=timedelta(minutes=5),
    max_delay=timedelta(days=365),
    max_receive=32,
    max_send=500,
    keeps_order=False,
    waits=True,
    dead_letters=DEAD_LETTERS,
)
SHORTEST_LEASE = timedelta(seconds=1)
"""Of a lock that has run out already by this machine's clock, which is ahead then: so it is renewed all the time."""
MOST_SEEN = 10_000
"""Messages that one look goes through: so many stand for more, too."""


class ServiceBusQueue:
    """One queue, which has to exist. How long a message is locked is a setting of the queue, not the caller's choice.

    A message is known by its sequence number: it stays the same whenever the message is delivered again.
    """

    limits = LIMITS

    def __init__(self, client: BusClient, name: str) -> None:
        self._client = client
        self._name = name
        self._sender = BusSender(client, name)
        self._receiver = BusReceiver(client, name)
        self._intake = Intake(self._receiver)

    async def open(self) -> None:
        await self._sender.open()

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        _check(bodies, delay)
        if bodies:
            await self._sender.send(bodies, delay=delay)

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        messages = await self._intake.take(max(1, min(limit, LIMITS.max_receive)), wait.total_seconds())
        return [self._delivery(message) for message in messages]

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        """As the port says, but a renewal whose reply was lost is Unreachable: it can be repeated, the lock being named
        by a token that stays the same."""
        locked_until = await self._receiver.renew(delivery.receipt)
        return replace(delivery, lease=self._left(locked_until))

    async def complete(self, delivery: Delivery) -> None:
        await self._receiver.complete(delivery.receipt)

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        """A new message in place of this one, since none can be edited; it comes with a new id, and counts on.

        What is not changed and need not wait is given back as it is.
        """
        _check([body], delay)
        if body == delivery.body and not delay:
            await self._receiver.abandon(delivery.receipt)
            return
        self._receiver.check_held(delivery.receipt, f"put back message {delivery.message_id} of queue {self._name}")
        await self._sender.send([body], delay=delay, deliveries=delivery.number)
        await self._receiver.complete(delivery.receipt)

    async def look(self, limit: int) -> Backlog:
        """By looking through the queue: as far as it takes to see `limit`, or to count, but no further than MOST_SEEN.

        The broker shows locked messages, too, and does not tell them from others.
        """
        number, seen, first, after = min(limit, LIMITS.max_receive), 0, list[ServiceBusReceivedMessage](), 0
        while seen < MOST_SEEN and not 0 < number <= len(first):
            page = await self._receiver.peek(after)
            if not page:
                break
            seen, after = seen + len(page), page[-1].sequence_number or 0
            if number:
                first += [message for message in page if message.state is ServiceBusMessageState.ACTIVE]
        return Backlog(seen, tuple(self._waiting(message) for message in first[:number]))

    async def close(self) -> None:
        """What is held here comes back when its lock has run out, what was on its way at once."""
        await self._intake.close()
        await asyncio.gather(self._receiver.close(), self._sender.close())

    def _delivery(self, message: ServiceBusReceivedMessage) -> Delivery:
        properties = message.application_properties or {}
        before = properties.get(DELIVERIES.encode(), 0)
        locked_until = message.locked_until_utc
        return Delivery(
            message_id=str(message.sequence_number),
            number=(before if isinstance(before, int) else 0) + (message.delivery_count or 0) + 1,
            body=_body(message),
            receipt=str(message.lock_token),
            lease=self._left(locked_until.timestamp()) if locked_until else SHORTEST_LEASE,
            dead_reason=": ".join(filter(None, (message.dead_letter_reason, message.dead_letter_error_description))),
        )

    def _waiting(self, message: ServiceBusReceivedMessage) -> Waiting:
        sent_at = message.enqueued_time_utc
        age = timedelta(seconds=self._client.clock() - sent_at.timestamp()) if sent_at else NO_DELAY
        return Waiting(_body(message), max(NO_DELAY, age))

    def _left(self, locked_until: float) -> timedelta:
        """Of a lock. Clocks may differ: it is never over the longest lock there is, so one that is behind does no harm
        to a lock of some minutes, which is renewed at a third of this."""
        left = timedelta(seconds=locked_until - self._client.clock())
        return max(SHORTEST_LEASE, min(left, LIMITS.max_lease))


def _check(bodies: Iterable[bytes], delay: timedelta) -> None:
    longest = max(map(len, bodies), default=0)
    if longest > LIMITS.max_body_bytes:
        raise TooLarge(f"a message of {longest} bytes; Service Bus takes at most {LIMITS.max_body_bytes}")
    if delay > LIMITS.max_delay:
        raise BadInput(f"a delay of {delay} is too long; at most {LIMITS.max_delay}")


def _body(message: ServiceBusReceivedMessage) -> bytes:
    """What was sent; of a foreign message that is no bytes, its text."""
    body = message.body
    if message.body_type is AmqpMessageBodyType.DATA:
        return body if isinstance(body, bytes) else b"".join(body)
    return body if isinstance(body, bytes) else str(body).encode()
