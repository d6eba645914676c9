"""The `Stack` of one storage account: its table, its blobs and its queues, on the Azure SDKs' clients."""

from __future__ import annotations

from functools import cached_property

from azure.core.credentials_async import AsyncTokenCredential

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_credential import own_credential
from jobq.adapters.azure_errors import Patience
from jobq.adapters.azure_probe import AzureProbe
from jobq.adapters.azure_tables import AzureTable
from jobq.adapters.storage_queue import StorageQueue
from jobq.core.ports import BlobStore


class AzureStack:
    """Everything jobq needs of a storage account. Nothing has to exist in it: what is missing is made at its first use.

    Usable in the event loop of its first request only. Close it at the end.
    """

    tables = ""

    def __init__(self, clients: AzureClients, *, table: str = "jobq", container: str = "jobq") -> None:
        self.address = clients.account.address
        self._clients = clients
        self._owned: AsyncTokenCredential | None = None
        self.table = AzureTable(clients, table)
        self._names = (table, container)

    @cached_property
    def blobs(self) -> BlobStore:
        from jobq.adapters.azure_blobs import AzureBlobs  # a push of small jobs needs none of it

        return AzureBlobs(self._clients, self._names[1])

    @classmethod
    def from_account(
        cls,
        account: str,
        credential: AsyncTokenCredential | None = None,
        *,
        managed_identity: str = "",
        table: str = "jobq",
        container: str = "jobq",
        patience: Patience = Patience(),  # noqa: B008 - a frozen value
    ) -> AzureStack:
        """By the account's name, in the public cloud; for another cloud with its suffix, `name.core.usgovcloudapi.net`.

        Without a credential: what `az login`, a managed identity or the AZURE_* variables give, closed with the stack.
        One that is passed in stays the caller's. `managed_identity`: the client id of one of several.
        """
        if credential is not None:
            return cls(AzureClients.from_account(account, credential, patience), table=table, container=container)
        own = own_credential(managed_identity)
        stack = cls(AzureClients.from_account(account, own, patience), table=table, container=container)
        stack._owned = own
        return stack

    @classmethod
    def from_connection_string(
        cls,
        cs: str,
        table: str = "jobq",
        container: str = "jobq",
        patience: Patience = Patience(),  # noqa: B008 - a frozen value
    ) -> AzureStack:
        """By a connection string with a key or a shared access signature; `UseDevelopmentStorage=true` is Azurite."""
        return cls(AzureClients.from_connection_string(cs, patience), table=table, container=container)

    def queue(self, name: str) -> StorageQueue:
        return StorageQueue(self._clients, name)

    def probe(self) -> AzureProbe:
        """What tries out whether all this may be used."""
        return AzureProbe(self._clients, *self._names, credential=self._owned)

    async def close(self) -> None:
        try:
            await self._clients.close()
        finally:
            if self._owned is not None:
                await self._owned.close()
