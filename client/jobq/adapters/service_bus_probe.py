"""Tries out whether a Service Bus queue may be used; leaves nothing behind."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusMessage

from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_errors import BusCall, Right

_LATER = timedelta(hours=1)


@dataclass(frozen=True)
class BusProbe:
    client: BusClient

    async def send(self, queue: str, body: bytes) -> None:
        """Schedule a message for later, and cancel it: nobody receives it. Raises NotFound, NotAllowed, Unreachable."""
        call = BusCall(f"send to queue {queue}", queue, Right.SEND)
        link = self.client.sender(queue)
        due = datetime.fromtimestamp(self.client.clock(), UTC) + _LATER
        try:
            await self.client.run(call, link.__aenter__)
            [number] = await self.client.run(call, lambda: link.schedule_messages(ServiceBusMessage(body), due))
            await self.client.run(call, lambda: link.cancel_scheduled_messages(number))
        finally:
            with suppress(AzureError, OSError):
                await link.close()

    async def listen(self, queue: str) -> None:
        """Look at a message: what allows that also allows to receive, to renew locks and to complete.

        None is received: that would take it from a worker, and count as a delivery.
        """
        call = BusCall(f"look through queue {queue}", queue, Right.LISTEN)
        link = self.client.receiver(queue)
        try:
            await self.client.run(call, link.__aenter__)
            await self.client.run(call, lambda: link.peek_messages(1))
        finally:
            with suppress(AzureError, OSError):
                await link.close()
