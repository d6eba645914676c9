"""Tries out what jobq does with a storage account, and with whose rights; leaves nothing behind.

Where a table, a queue or a container is not there yet, another one is made for the trial and removed: the first use
would make it, and to remove the real one might meet somebody's first use.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_credential import Identity
from jobq.adapters.azure_errors import Call, Refused
from jobq.adapters.azure_login import SCOPE, who_of
from jobq.adapters.azure_tables import AzureTable
from jobq.core.ports import BlobStore, Table
from jobq.errors import JobqError
from jobq.model.roles import Who

_HIDDEN_SECONDS = 60
_LIFE_SECONDS = 120

_Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class AzureProbe:
    clients: AzureClients
    table_name: str
    container_name: str
    credential: AsyncTokenCredential | None = None
    """The login in use; None with a key, or where it is somebody else's to know."""

    @property
    def url(self) -> str:
        """Of a service of the account, without a signature."""
        parts = urlsplit(self.clients.queues.url)
        return f"{parts.scheme}://{parts.netloc}/"

    async def login(self) -> Who | None:
        """Raises NotAllowed or Unreachable when there is none to be had. None: a key is used in place of one."""
        if self.credential is None:
            return None
        identity = Identity(f"storage account {self.clients.account.name}", self.credential)
        return who_of((await identity.get_token(SCOPE)).token)

    @asynccontextmanager
    async def table(self) -> AsyncIterator[Table]:
        """The table, or one that has its place."""
        tables, name = self.clients.tables, self.table_name
        call = Call("table", f"read table {name}", is_read=True)
        is_there = await self._is_there(call, lambda: tables.get_table_client(name).get_entity("doctor", "doctor"))
        async with self._place("table", name, is_there, tables.delete_table) as place:
            yield AzureTable(self.clients, place)

    @asynccontextmanager
    async def blobs(self) -> AsyncIterator[BlobStore]:
        """The container, or one that has its place."""
        from jobq.adapters.azure_blobs import AzureBlobs

        blobs, name = self.clients.blobs, self.container_name
        call = Call("blob", f"look into container {name}", is_read=True)
        is_there = await self._is_there(call, blobs.get_blob_client(name, "doctor").download_blob)
        async with self._place("blob", name, is_there, blobs.delete_container) as place:
            yield AzureBlobs(self.clients, place)

    async def queue(self, name: str, body: bytes) -> str:
        """Put a message that nobody sees, renew it, delete it; look and count. Says in which queue, in words.

        A sent message comes with its receipt, so none has to be received: that would take one from a worker. Who may
        read and delete messages may receive them. When this process dies the message is gone in two minutes.
        """
        queues = self.clients.queues
        counting = Call("queue", f"count the messages of queue {name}", is_read=True)
        is_there = await self._is_there(counting, queues.get_queue_client(name).get_queue_properties)
        async with self._place("queue", name, is_there, queues.delete_queue) as place:
            if not is_there:
                await self._run(f"make queue {place}", lambda: queues.create_queue(place))
            await self._try_messages(place, body)
        return f"queue {name}" if is_there else f"a new queue (the first push makes {name})"

    async def _try_messages(self, name: str, body: bytes) -> None:
        queue = self.clients.queues.get_queue_client(name)

        async def send() -> tuple[str, str]:
            sent = await queue.send_message(
                body.decode(), visibility_timeout=_HIDDEN_SECONDS, time_to_live=_LIFE_SECONDS
            )
            return sent.id, str(sent.pop_receipt)

        async def renew() -> str:
            renewed = await queue.update_message(message_id, receipt, visibility_timeout=_HIDDEN_SECONDS)
            return str(renewed.pop_receipt)

        async def delete() -> None:
            await self._run(f"delete a message of queue {name}", lambda: queue.delete_message(message_id, receipt))

        message_id, receipt = await self.clients.run(Call("queue", f"put a message in queue {name}"), send)
        try:
            renewing = Call("queue", f"renew the lease of a message in queue {name}")
            receipt = await self.clients.run(renewing, renew)
            await self._run(f"look at the messages of queue {name}", lambda: queue.peek_messages(1))
        except BaseException:
            with suppress(JobqError):
                await delete()
            raise
        await delete()

    async def _is_there(self, call: Call, look: _Act) -> bool:
        """Whether a table, queue or container is there; `look` may ask for something in it that is not."""
        try:
            await self.clients.run(call, look)
        except Refused as refused:
            if refused.status != 404:
                raise
            return refused.code not in ("TableNotFound", "QueueNotFound", "ContainerNotFound")
        return True

    @asynccontextmanager
    async def _place(
        self, service: str, name: str, is_there: bool, delete: Callable[[str], Awaitable[object]]
    ) -> AsyncIterator[str]:
        """The name of what is there, or of another that is removed at the end."""
        if is_there:
            yield name
            return
        other = f"doctor{secrets.token_hex(8)}"
        call = Call(service, f"delete {other}, made for a trial")
        try:
            yield other
        except BaseException:
            with suppress(JobqError):
                await self.clients.run(call, lambda: delete(other))
            raise
        await self.clients.run(call, lambda: delete(other))

    async def _run(self, what: str, act: _Act) -> None:
        await self.clients.run(Call("queue", what), act)
