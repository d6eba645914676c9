"""The link through which this process sends to a Service Bus queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
from azure.servicebus.aio import ServiceBusSender
from azure.servicebus.exceptions import MessageSizeExceededError

from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_errors import BusCall, Right, error_of
from jobq.errors import Unreachable

CLOSE_SECONDS = 0.25
"""Time enough to say so; the SDK would wait for up to a second longer, for a task of its own that sleeps."""

ENVELOPE_BYTES = 512
"""Of a batch, which the SDK does not count: it repeats some of the first message's properties."""

DELIVERIES = "jobq-deliveries"
"""The property of a message put back: how often those it stands for were delivered."""


class BusSender:
    """Opened at the first message, which takes half a second. One call at a time, as the SDK wants it."""

    def __init__(self, client: BusClient, queue: str) -> None:
        self._client = client
        self._queue = queue
        self._turn = asyncio.Lock()
        self._link: ServiceBusSender | None = None

    async def open(self) -> None:
        """Raises NotFound, NotAllowed, Unreachable. A link that is open stays so."""
        call = BusCall(f"send to queue {self._queue}", self._queue, Right.SEND)
        async with self._turn:
            try:
                await self._open(call)
            except Unreachable:
                await self._discard()
                raise

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta, deliveries: int = 0) -> None:
        """In as few batches as the service takes, each stored as a whole; the first that fails ends it.

        Each message has an id of its own: under one that was used before, a queue that detects duplicates would accept
        the message and drop it. What the SDK sends again after a broken connection keeps its id.
        """
        call = BusCall(f"send messages to queue {self._queue}", self._queue, Right.SEND, is_write=True)
        async with self._turn:
            try:
                await self._send([self._message(body, delay, deliveries) for body in bodies], call)
            except Unreachable:
                await self._discard()
                raise

    async def close(self) -> None:
        async with self._turn:
            await self._discard()

    async def _send(self, messages: Sequence[ServiceBusMessage], call: BusCall) -> None:
        opening = replace(call, is_write=False)
        link = await self._open(opening)
        widest = await self._client.run(opening, link.create_message_batch)
        new_batch = partial(link.create_message_batch, widest.max_size_in_bytes - ENVELOPE_BYTES)
        batch = await self._client.run(opening, new_batch)
        for message in messages:
            if not self._fits(batch, message, call):
                await self._client.run(call, partial(link.send_messages, batch))
                batch = await self._client.run(opening, new_batch)
                self._fits(batch, message, call)
        if batch:
            await self._client.run(call, partial(link.send_messages, batch))

    async def _open(self, call: BusCall) -> ServiceBusSender:
        link = self._link = self._link or self._client.sender(self._queue)
        await self._client.run(call, link.__aenter__)  # does nothing where it is open
        return link

    def _fits(self, batch: ServiceBusMessageBatch, message: ServiceBusMessage, call: BusCall) -> bool:
        """Whether the message is in the batch now; the SDK knows what the queue takes. TooLarge if none would do."""
        try:
            batch.add_message(message)
        except MessageSizeExceededError as error:
            if not batch:
                raise error_of(call, self._client.namespace, error) from error
            return False
        return True

    def _message(self, body: bytes, delay: timedelta, deliveries: int) -> ServiceBusMessage:
        due = datetime.fromtimestamp(self._client.clock(), UTC) + delay if delay else None
        return ServiceBusMessage(
            body,
            content_type="application/json",
            application_properties={DELIVERIES: deliveries} if deliveries else None,
            scheduled_enqueue_time_utc=due,
        )

    async def _discard(self) -> None:
        """A link that failed is not used again."""
        link, self._link = self._link, None
        if link is not None:
            with suppress(AzureError, OSError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await link.close()
