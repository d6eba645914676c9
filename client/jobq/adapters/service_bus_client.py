"""The Service Bus SDK's client of one namespace, and what every call through it has in common."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypedDict, TypeVar

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from jobq.adapters.azure_credential import Identity
from jobq.adapters.service_bus_errors import BusCall, Namespace, error_of
from jobq.errors import BadInput

T = TypeVar("T")

DEAD_LETTERS = "/$DeadLetterQueue"
"""After a queue's name: its sub-queue of messages that the broker gave up to deliver."""

READ_SECONDS = 0.05
"""After so long without a frame the SDK looks what else there is to do: so much later it may see that time is up."""
CALL_SECONDS = 20.0
"""For one call, with all that the SDK does to repair a broken link within it."""


class _Options(TypedDict):
    retry_total: int
    retry_backoff_factor: float


# The SDK repeats what was refused as busy, and what a broken link left open, after 0.5, 1 and 2 s. A settlement it
# repeats by the lock's token, so that it is never applied twice; a message sent twice is a ticket too many.
_OPTIONS: _Options = {"retry_total": 3, "retry_backoff_factor": 0.25}


class BusClient:
    """Makes links to the queues of one namespace. Whoever makes one closes it.

    `clock`: seconds since the epoch; locks run out by the broker's clock, and messages are scheduled by this one.
    """

    def __init__(self, namespace: Namespace, sdk: ServiceBusClient, clock: Callable[[], float] = time.time) -> None:
        self.namespace = namespace
        self.clock = clock
        self._sdk = sdk

    @classmethod
    def from_namespace(
        cls, address: str, credential: AsyncTokenCredential, clock: Callable[[], float] = time.time
    ) -> BusClient:
        """By the namespace's name in the public cloud, or by its whole host name. The credential stays the caller's."""
        namespace = Namespace(address)
        identity = Identity(f"Service Bus namespace {namespace.name}", credential)
        return cls(namespace, ServiceBusClient(namespace.host, identity, **_OPTIONS), clock)

    @classmethod
    def from_connection_string(cls, address: str, text: str, clock: Callable[[], float] = time.time) -> BusClient:
        """By a connection string with a key, as for Microsoft's emulator; `address` is only a name then.

        Raises BadInput; never shows the string, since it holds a secret.
        """
        try:
            sdk = ServiceBusClient.from_connection_string(text.strip().rstrip(";"), **_OPTIONS)
        except (ValueError, KeyError) as error:
            raise BadInput(
                "this is no connection string of a Service Bus namespace: it is a list of Name=Value, separated by "
                "';', with Endpoint, SharedAccessKeyName and SharedAccessKey"
            ) from error
        return cls(Namespace(address, has_key=True), sdk, clock)

    def sender(self, queue: str) -> ServiceBusSender:
        return self._sdk.get_queue_sender(queue)

    def receiver(self, queue: str) -> ServiceBusReceiver:
        """For a queue, or for its dead letters."""
        name = queue.removesuffix(DEAD_LETTERS)
        sub_queue = ServiceBusSubQueue.DEAD_LETTER if name != queue else None
        return self._sdk.get_queue_receiver(name, sub_queue=sub_queue, socket_timeout=READ_SECONDS)

    async def run(self, call: BusCall, action: Callable[[], Awaitable[T]]) -> T:
        """What `action`, calls of the SDK, returns. Raises what `error_of` says."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await action()
        except (AzureError, OSError) as error:  # a TimeoutError is an OSError
            raise error_of(call, self.namespace, error) from error
