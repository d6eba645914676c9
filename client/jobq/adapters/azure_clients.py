"""The SDKs' clients of one storage account, over one HTTP session and under one rule about retries."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict, TypeVar
from urllib.parse import urlsplit

from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from jobq.adapters.azure_account import Account, blob_host_of, connection_string_of
from jobq.adapters.azure_credential import Identity
from jobq.adapters.azure_errors import (
    Answer,
    Call,
    Patience,
    error_of,
    error_without_answer,
    outcome_of,
    pause_before_next,
)
from jobq.adapters.azure_transport import SharedTransport
from jobq.errors import BadInput, JobqError

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobServiceClient

T = TypeVar("T")

_WHOLE = 2**40
"""Bytes of a blob to ask for at once: all. In pieces, the SDK fails when a log grows between two of them."""


class _Options(TypedDict):
    transport: SharedTransport
    retry_total: int


class AzureClients:
    """One client for each service; close them all at the end. Usable in the event loop of the first request only."""

    def __init__(
        self,
        account: Account,
        tables: TableServiceClient,
        queues: QueueServiceClient,
        make_blobs: Callable[[], BlobServiceClient],
        transport: SharedTransport,
        patience: Patience,
    ) -> None:
        self.account = account
        self.tables, self.queues = tables, queues
        self._make_blobs = make_blobs
        self._transport = transport
        self._patience = patience

    @classmethod
    def from_account(cls, account: str, credential: AsyncTokenCredential, patience: Patience) -> AzureClients:
        """By the account's name (see `Account.from_name`). The credential stays the caller's."""
        known = Account.from_name(account)
        identity, options = Identity(f"storage account {known.name}", credential), _options(patience)

        def blobs() -> BlobServiceClient:
            from azure.storage.blob.aio import BlobServiceClient

            url = f"https://{known.blob}"
            return BlobServiceClient(url, credential=identity, **options, max_single_get_size=_WHOLE)

        return cls(
            known,
            TableServiceClient(f"https://{known.table}", credential=identity, **options),
            QueueServiceClient(f"https://{known.queue}", credential=identity, **options),
            blobs,
            options["transport"],
            patience,
        )

    @classmethod
    def from_connection_string(cls, text: str, patience: Patience) -> AzureClients:
        """As the portal shows it, with a key or a shared access signature, or `UseDevelopmentStorage=true` (Azurite).

        Raises BadInput; never shows the string, since it holds a secret.
        """
        text, options = connection_string_of(text), _options(patience)
        try:
            tables = TableServiceClient.from_connection_string(text, **options)
            queues = QueueServiceClient.from_connection_string(text, **options)
        except ValueError as error:
            raise BadInput(
                "this is no connection string of a storage account: it is a list of Name=Value, separated by ';', "
                "with AccountName, and AccountKey or SharedAccessSignature"
            ) from error

        def blobs() -> BlobServiceClient:
            from azure.storage.blob.aio import BlobServiceClient

            return BlobServiceClient.from_connection_string(text, **options, max_single_get_size=_WHOLE)

        queue, table = (urlsplit(client.url).netloc for client in (queues, tables))
        blob = blob_host_of(text, queue)
        name = tables.account_name or table.partition(".")[0]
        account = Account(name, name, blob, queue, table, has_key=True)
        return cls(account, tables, queues, blobs, options["transport"], patience)

    @cached_property
    def blobs(self) -> BlobServiceClient:
        """Made, and its library loaded (0.15 s), when it is first needed: most jobs have no blob."""
        return self._make_blobs()

    async def run(self, call: Call, action: Callable[[], Awaitable[T]]) -> T:
        """What `action`, one request through a client, returns; repeated as `pause_before_next` says.

        Raises NotAllowed, TooLarge, Unreachable, ReplyLost, or Refused for an answer that the caller has to judge.
        """
        start = time.monotonic()
        for tried in itertools.count(1):
            try:
                return await action()
            except AzureError as error:
                outcome = outcome_of(error)
                pause = pause_before_next(call, outcome, tried, time.monotonic() - start, self._patience)
                if pause < 0:
                    raise self._error(call, outcome) from error
            await asyncio.sleep(pause)
        raise AssertionError("counting has no end")

    async def close(self) -> None:
        await self._transport.end()

    def _error(self, call: Call, outcome: Answer | AzureError) -> JobqError:
        if isinstance(outcome, Answer):
            return error_of(call, self.account, outcome)
        return error_without_answer(call, self.account, outcome)


def _options(patience: Patience) -> _Options:
    # `run` alone tries again: the SDKs' own retries would repeat writes whose answer was lost.
    return {"transport": SharedTransport(patience), "retry_total": 0}
