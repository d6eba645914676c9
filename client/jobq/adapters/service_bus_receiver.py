"""The link through which this process receives from a Service Bus queue, and settles what it has received."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver

from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_errors import BusCall, Right
from jobq.errors import JobqError, LeaseLost, Unreachable

T = TypeVar("T")

MORE_SECONDS = 0.05
"""While messages flow: so long without one, and they do not any more."""
GLANCE_SECONDS = 0.01
"""For what may have come already."""
CLOSE_SECONDS = 3.0
FORGET_AFTER = timedelta(minutes=10)
"""A message whose lock has run out so long ago is nobody's here; whoever held it has left it, without a word."""
PEEK_AT_ONCE = 250
MOST_REQUESTS = 5000
"""Renewals and the like on one link: the SDK lets the service answer 10,000, and then waits in vain."""


class BusReceiver:
    """Opened at its first use, which takes half a second. One call at a time, as the SDK wants it.

    That goes for settlements, too: when a link breaks under several of them, the SDK repeats them all as requests under
    one delivery id, which a strict peer hangs up on. A message that came through a link which has broken since is
    settled by its lock's token, through the next one.
    """

    def __init__(self, client: BusClient, queue: str) -> None:
        self._client = client
        self._queue = queue
        self._turn = asyncio.Lock()
        self._link: ServiceBusReceiver | None = None
        self._requests = 0
        """On this link."""
        self._held: dict[str, ServiceBusReceivedMessage] = {}
        self._lost: set[str] = set()

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    @property
    def is_open(self) -> bool:
        """Whether there is a link; it may have broken since its last call."""
        return self._link is not None

    async def receive(self, limit: int, seconds: float) -> list[ServiceBusReceivedMessage]:
        """What comes within `seconds`, which begin when the link is open; at once when `limit` messages are there.

        What is less than `limit` may still come, and lie here locked until the next `receive`, or until `revoke`.
        """
        async with self._turn:
            return await self._receive(limit, seconds)

    async def receive_flow(self, limit: int) -> list[ServiceBusReceivedMessage]:
        """Up to `limit`, as long as each comes soon after the last; where it ends before, there is leave for one more.

        In one turn: a message that comes while another call is made here is sent back by the SDK.
        """
        messages: list[ServiceBusReceivedMessage] = []
        async with self._turn:
            try:
                while len(messages) < limit:
                    more = await self._receive(limit - len(messages), MORE_SECONDS)
                    messages += more
                    if not more:
                        return messages + await self._receive(1, GLANCE_SECONDS)
            except JobqError:
                if not messages:
                    raise  # else they go first, and the next call meets the error again
        return messages

    async def revoke(self) -> None:
        """Take back the leave to send more: what came in vain goes back, and does not count as delivered."""
        async with self._turn:
            if self._link is not None:
                await self._run(self._call(f"stop the messages of queue {self._queue}"), _drain)

    async def renew(self, token: str) -> float:
        """Until when the message is locked now, in seconds since the epoch. Raises LeaseLost."""
        call = self._call(f"renew the lock of a message of queue {self._queue}")
        async with self._turn:
            message = self._message(token, call)
            await self._count_request()
            locked_until = await self._settling(token, call, lambda link: link.renew_message_lock(message))
            return locked_until.timestamp()

    async def complete(self, token: str) -> None:
        """Raises LeaseLost. A message that was settled before is fine."""
        call = self._call(f"complete a message of queue {self._queue}", is_write=True)
        async with self._turn:
            if token not in self._held and token not in self._lost:
                return
            message = self._message(token, call)
            await self._settling(token, call, lambda link: link.complete_message(message))
            del self._held[token]

    async def abandon(self, token: str) -> None:
        """Give the message back, which counts as a delivery. Raises LeaseLost."""
        call = self._call(f"give back a message of queue {self._queue}", is_write=True)
        async with self._turn:
            message = self._message(token, call)
            await self._settling(token, call, lambda link: link.abandon_message(message))
            del self._held[token]

    def check_held(self, token: str, what: str) -> None:
        """Raises LeaseLost for a message that was settled, or whose lock was lost, as far as is known here."""
        self._message(token, self._call(what))

    async def peek(self, after: int) -> list[ServiceBusReceivedMessage]:
        """Some of the messages after that sequence number, locked and scheduled ones included; none at the end."""
        call = self._call(f"look through queue {self._queue}")
        async with self._turn:
            await self._count_request()
            return await self._run(call, lambda link: link.peek_messages(PEEK_AT_ONCE, sequence_number=after + 1))

    async def close(self) -> None:
        async with self._turn:
            if self._link is not None:
                await self._discard(self._link)

    async def _receive(self, limit: int, seconds: float) -> list[ServiceBusReceivedMessage]:
        call = self._call(f"receive messages from queue {self._queue}")
        messages = await self._run(call, lambda link: link.receive_messages(limit, max_wait_time=seconds))
        for token in [token for token, message in self._held.items() if self._is_left(message)]:
            self._lose(token)
        self._held |= {str(message.lock_token): message for message in messages}
        return messages

    def _is_left(self, message: ServiceBusReceivedMessage) -> bool:
        until = message.locked_until_utc
        return until is not None and (until + FORGET_AFTER).timestamp() < self._client.clock()

    def _lose(self, token: str) -> None:
        self._held.pop(token, None)
        self._lost.add(token)

    def _call(self, what: str, *, is_write: bool = False) -> BusCall:
        return BusCall(what, self._queue, Right.LISTEN, is_write=is_write)

    def _message(self, token: str, call: BusCall) -> ServiceBusReceivedMessage:
        if token not in self._held:
            raise LeaseLost(f"could not {call.what}: its lock was lost, or it was settled before")
        return self._held[token]

    async def _settling(self, token: str, call: BusCall, action: Callable[[ServiceBusReceiver], Awaitable[T]]) -> T:
        try:
            return await self._run(call, action)
        except LeaseLost:
            self._lose(token)
            raise

    async def _run(self, call: BusCall, action: Callable[[ServiceBusReceiver], Awaitable[T]]) -> T:
        """`action` on an open link. A link that failed is not used again.

        One that was kept may well be gone by now, the service ends idle ones: then all but writes are tried once more.
        """
        was_kept = self._link is not None
        try:
            return await self._try(call, action)
        except Unreachable:
            if not was_kept or call.is_write:
                raise
        return await self._try(call, action)

    async def _try(self, call: BusCall, action: Callable[[ServiceBusReceiver], Awaitable[T]]) -> T:
        if self._link is None:
            self._link, self._requests = self._client.receiver(self._queue), 0
        link = self._link
        try:
            await self._client.run(replace(call, is_write=False), link.__aenter__)  # does nothing where it is open
            return await self._client.run(call, lambda: action(link))
        except Unreachable:
            await self._discard(link)
            raise

    async def _count_request(self) -> None:
        self._requests += 1
        if self._requests > MOST_REQUESTS and self._link is not None:
            await self._discard(self._link)

    async def _discard(self, link: ServiceBusReceiver) -> None:
        if self._link is link:
            self._link = None
        with suppress(AzureError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await link.close()


async def _drain(link: ServiceBusReceiver) -> None:
    # Private: how the SDK itself ends the credit of a link before it closes it. It has no public way to keep the link.
    drain = link._amqp_transport.drain_and_release_messages_async
    await drain(link._handler)  # type: ignore[no-untyped-call]  # it is private
