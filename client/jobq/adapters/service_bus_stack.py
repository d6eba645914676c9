"""The `Stack` whose tickets travel through Service Bus, and whose rows and blobs are in a storage account."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from azure.core.credentials_async import AsyncTokenCredential

from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_credential import own_credential
from jobq.adapters.azure_probe import AzureProbe
from jobq.adapters.service_bus import ServiceBusQueue
from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_probe import BusProbe
from jobq.core.ports import Stack


class ServiceBusStack:
    """Queues of a namespace, beside the table and the blobs of `index`, which is closed with this stack.

    Usable in the event loop of its first request only.
    """

    def __init__(self, client: BusClient, index: Stack) -> None:
        self.address = f"sb://{client.namespace.address}"
        self.tables = index.address
        self.table = index.table
        self.blobs = index.blobs
        self._client = client
        self._index = index
        self._queues: dict[str, ServiceBusQueue] = {}
        self._owned: AsyncTokenCredential | None = None

    @classmethod
    def open(
        cls,
        namespace: str,
        account: str,
        *,
        bus_connection_string: str = "",
        storage_connection_string: str = "",
        managed_identity: str = "",
    ) -> ServiceBusStack:
        """By their names, with what `az login`, a managed identity or the AZURE_* variables give.

        Where there is a connection string, that, for emulators; a name is only a name then.
        """
        owned: AsyncTokenCredential | None = None
        if not (bus_connection_string and storage_connection_string):
            owned = own_credential(managed_identity)
        if bus_connection_string:
            client = BusClient.from_connection_string(namespace, bus_connection_string)
        else:
            assert owned is not None
            client = BusClient.from_namespace(namespace, owned)
        if storage_connection_string:
            index = AzureStack.from_connection_string(storage_connection_string)
        else:
            index = AzureStack.from_account(account, owned)
        stack = cls(client, index)
        stack._owned = owned
        return stack

    def queue(self, name: str) -> ServiceBusQueue:
        """The same object for the same name: it holds the links."""
        if name not in self._queues:
            self._queues[name] = ServiceBusQueue(self._client, name)
        return self._queues[name]

    def probe(self) -> tuple[AzureProbe, BusProbe]:
        """What tries out whether the account and the namespace may be used. Of a stack made by `open`."""
        assert isinstance(self._index, AzureStack)
        index = replace(self._index.probe(), credential=self._owned)
        return index, BusProbe(self._client)

    async def close(self) -> None:
        queues, self._queues = list(self._queues.values()), {}
        try:
            await asyncio.gather(*(queue.close() for queue in queues))
        finally:
            await self._index.close()
            if self._owned is not None:
                await self._owned.close()
