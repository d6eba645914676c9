"""The ways to send the same requests to Azure Storage that `bench.requests` compares."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol
from urllib.parse import quote
from xml.sax.saxutils import escape

from azure.core import MatchConditions
from azure.core.rest import HttpRequest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_entities import BATCH_TYPE, batch_of, etags_of, request_of
from jobq.adapters.azure_errors import Patience
from jobq.adapters.azure_transport import SharedTransport
from jobq.core.ports import Change, Delivery, create, merge

WAYS = ["ours", "sdk", "trimmed", "pipeline"]
BODY = b'{"jobs":[{"id":"01J9ZK7Q4M","generation":1,"command":"python train.py --lr 0.1"}],"etags":["2026-11-21T22"]}'
LEASE = timedelta(minutes=5)
VALUES: dict[str, Any] = {
    "state": "queued",
    "payload": '{"command":"python train.py --lr 0.1","env":{"A":"b"}}',
    "tags": '["train","night"]',
    "lanes": '["0"]',
    "generation": 1,
    "failures": 0,
    "pushed_at": 1790000000.5,
    "ticket": "",
}


class Client(Protocol):
    async def put(self) -> None: ...
    async def get_and_delete(self) -> None: ...
    async def create(self, keys: Sequence[str]) -> list[str]: ...
    async def merge(self, key: str, etag: str) -> str: ...
    async def merge_in_batch(self, key: str, etag: str) -> str: ...
    async def read(self, key: str) -> None: ...
    async def scan(self) -> None: ...


class Ours:
    """jobq's adapters."""

    def __init__(self, stack: AzureStack) -> None:
        self.table, self.queue = stack.table, stack.queue("bench")

    async def put(self) -> None:
        await self.queue.send([BODY])

    async def get_and_delete(self) -> None:
        deliveries: list[Delivery] = await self.queue.receive(1, lease=LEASE)
        await self.queue.complete(deliveries[0])

    async def create(self, keys: Sequence[str]) -> list[str]:
        return await self.table.commit("p~1", [create(key, VALUES) for key in keys])

    async def merge(self, key: str, etag: str) -> str:
        return (await self.table.commit("p~1", [merge(key, {"state": "running"}, etag)]))[0]

    async def merge_in_batch(self, key: str, etag: str) -> str:
        changes = [merge(key, {"state": "running"}, etag), merge(f"{key}-", {"n": 1})]
        return (await self.table.commit("p~1", changes))[0]

    async def read(self, key: str) -> None:
        await self.table.get("p~1", key)

    async def scan(self) -> None:
        await self.table.scan("p~1", "job~")


class Sdk:
    """The public methods of the service SDKs."""

    def __init__(self, table: Any, queue: Any) -> None:
        self._table, self._queue = table, queue

    async def put(self) -> None:
        await self._queue.send_message(BODY.decode(), time_to_live=-1)

    async def get_and_delete(self) -> None:
        message = await self._queue.receive_message(visibility_timeout=300)
        await self._queue.delete_message(message)

    async def create(self, keys: Sequence[str]) -> list[str]:
        done = await self._table.submit_transaction([("create", _entity(key, VALUES)) for key in keys])
        return [str(one["etag"]) for one in done]

    async def merge(self, key: str, etag: str) -> str:
        done = await self._table.update_entity(_entity(key, {"state": "running"}), **_if_match(etag))
        return str(done["etag"])

    async def merge_in_batch(self, key: str, etag: str) -> str:
        first = ("update", _entity(key, {"state": "running"}), _if_match(etag))
        done = await self._table.submit_transaction([first, ("update", _entity(f"{key}-", {"n": 1}))])
        return str(done[0]["etag"])

    async def read(self, key: str) -> None:
        await self._table.get_entity("p~1", key)

    async def scan(self) -> None:
        async for _ in self._table.query_entities("PartitionKey eq 'p~1' and RowKey ge 'job~'"):
            pass


class Pipeline(Sdk):
    """Requests encoded here, through the SDK clients' pipelines; some of what jobq would do if it paid."""

    async def put(self) -> None:
        body = b"<QueueMessage><MessageText>%s</MessageText></QueueMessage>" % escape(BODY.decode()).encode()
        await _send(self._queue, "POST", "/messages?messagettl=-1", _XML, body)

    async def get_and_delete(self) -> None:
        message = await self._queue.receive_message(visibility_timeout=300)
        path = f"/messages/{message.id}?popreceipt={quote(message.pop_receipt, safe='')}"
        await _send(self._queue, "DELETE", path, _XML)

    async def create(self, keys: Sequence[str]) -> list[str]:
        return await self._commit([create(key, VALUES) for key in keys])

    async def merge(self, key: str, etag: str) -> str:
        method, path, headers, body = request_of("jobq", "p~1", merge(key, {"state": "running"}, etag))
        answer = await _send(self._table, method, path, headers, body.encode())
        return str(answer.headers["ETag"])

    async def merge_in_batch(self, key: str, etag: str) -> str:
        return (await self._commit([merge(key, {"state": "running"}, etag), merge(f"{key}-", {"n": 1})]))[0]

    async def _commit(self, changes: Sequence[Change]) -> list[str]:
        headers = {"Content-Type": BATCH_TYPE, "Accept": _JSON, "DataServiceVersion": "3.0"}
        body = batch_of(self._table.url, "jobq", "p~1", changes)
        return etags_of((await _send(self._table, "POST", "/$batch", headers, body)).content)

    async def read(self, key: str) -> None:
        path = f"/jobq(PartitionKey='p~1',RowKey='{quote(key)}')"
        json.loads((await _send(self._table, "GET", path, {"Accept": _JSON + ";odata=minimalmetadata"})).content)


_JSON = "application/json"
_XML = {"Accept": "application/xml", "Content-Type": "application/xml"}


async def _send(client: Any, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    request = HttpRequest(
        method, client.url + path, headers={"x-ms-version": client.api_version, **headers}, content=body
    )
    answer = await client._client._client.send_request(request, stream=True)
    await answer.read()
    answer.raise_for_status()
    return answer


def _entity(key: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"PartitionKey": "p~1", "RowKey": key, **values}


def _if_match(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


@asynccontextmanager
async def client(connection_string: str, way: str) -> AsyncIterator[Client]:
    async with AsyncExitStack() as closing:
        if way == "ours":
            stack = AzureStack.from_connection_string(connection_string)
            closing.push_async_callback(stack.close)
            yield Ours(stack)
            return
        options: dict[str, Any] = {}
        if way != "sdk":
            transport = SharedTransport(Patience())
            closing.push_async_callback(transport.end)
            options = {"transport": transport, "retry_total": 0}
        tables = await closing.enter_async_context(
            TableServiceClient.from_connection_string(connection_string, **options)
        )
        queues = await closing.enter_async_context(
            QueueServiceClient.from_connection_string(connection_string, **options)
        )
        table, queue = tables.get_table_client("jobq"), queues.get_queue_client("bench")
        await table.create_table()
        await queue.create_queue()
        yield (Pipeline if way == "pipeline" else Sdk)(table, queue)
