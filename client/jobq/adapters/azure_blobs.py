"""The `BlobStore` port on Azure Blob Storage."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from azure.core import MatchConditions
from azure.storage.blob.aio import BlobClient

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_errors import Call, Refused
from jobq.errors import BadInput, Conflict

_MAX_APPEND_BYTES = 4 * 1024 * 1024
_WINDOW_BYTES = 16 * 1024 * 1024
_BLOCKS_AT_ONCE = 4
_MISSING = 404
_RANGE = 416
_EXISTS = frozenset({"BlobAlreadyExists", "UnauthorizedBlobOverwrite"})


class AzureBlobs:
    """One container of a storage account, made at the first write where it does not exist."""

    def __init__(self, clients: AzureClients, container: str) -> None:
        self._clients = clients
        self._container = clients.blobs.get_container_client(container)
        self._name = container

    async def put(self, key: str, data: bytes) -> None:
        blob = self._blob(key)
        await self._write(
            self._call(f"write blob {key}"), lambda: blob.upload_blob(data, length=len(data), overwrite=True)
        )

    async def get(self, key: str, *, start: int = 0) -> bytes | None:
        blob = self._blob(key)

        async def read() -> bytes:
            # No offset for the whole: the SDK then knows what an empty blob answers to a range.
            download = await blob.download_blob(offset=start or None)
            return await download.readall()

        try:
            return await self._clients.run(self._call(f"read blob {key}", is_read=True), read)
        except Refused as refused:
            if refused.status == _MISSING:
                return None
            if refused.status == _RANGE:
                return b""
            raise

    async def put_file(self, key: str, file: Path) -> None:
        blob = self._blob(key)
        with file.open("rb") as source:
            size = os.fstat(source.fileno()).st_size

            async def write() -> None:
                source.seek(0)
                await blob.upload_blob(source, length=size, overwrite=True, max_concurrency=_BLOCKS_AT_ONCE)

            await self._write(self._call(f"write blob {key}"), write)

    async def get_file(self, key: str, file: Path) -> bool:
        """In windows: what one request gives is in memory as a whole."""
        blob = self._blob(key)
        with file.open("xb") as target:
            while True:
                start = target.tell()
                try:
                    data = await self._clients.run(
                        self._call(f"read blob {key}", is_read=True), partial(_window, blob, start)
                    )
                except Refused as refused:
                    if refused.status == _RANGE:  # past the end
                        return True
                    if refused.status == _MISSING and not start:
                        await asyncio.to_thread(file.unlink)
                        return False
                    raise
                target.write(data)
                if len(data) < _WINDOW_BYTES:
                    return True

    async def append(self, key: str, data: bytes) -> None:
        """Add to the end, in blocks of at most 4 MiB. Raises Conflict(0) for a blob made by `put`.

        A block whose answer was lost is not sent again (ReplyLost): it may be there.
        """
        if not data:
            await self._make_log(key)
        for start in range(0, len(data), _MAX_APPEND_BYTES):
            await self._append_block(key, data[start : start + _MAX_APPEND_BYTES])

    async def delete(self, key: str) -> None:
        blob = self._blob(key)
        call = self._call(f"delete blob {key}")
        try:
            await self._clients.run(call, lambda: blob.delete_blob(delete_snapshots="include"))
        except Refused as refused:
            if refused.status != _MISSING:
                raise

    async def list(self, prefix: str) -> list[str]:
        async def read() -> list[str]:
            return [name async for name in self._container.list_blob_names(name_starts_with=prefix)]

        try:
            return sorted(await self._clients.run(self._call("list blobs", is_read=True), read))
        except Refused as refused:
            if refused.code != "ContainerNotFound":
                raise
            return []

    async def _append_block(self, key: str, data: bytes) -> None:
        blob = self._blob(key)
        call = self._call(f"append to blob {key}", is_repeatable=False)
        try:
            await self._clients.run(call, lambda: blob.append_block(data, length=len(data)))
        except Refused as refused:
            if refused.code == "InvalidBlobType":
                raise Conflict(f"could not {call.what}: it was written whole", 0) from refused
            if refused.status != _MISSING:
                raise
        else:
            return
        await self._make_log(key)
        await self._clients.run(call, lambda: blob.append_block(data, length=len(data)))

    async def _make_log(self, key: str) -> None:
        """An empty blob to append to, unless there is one of any kind."""
        blob = self._blob(key)
        try:
            await self._write(
                self._call(f"append to blob {key}"),
                lambda: blob.create_append_blob(match_condition=MatchConditions.IfMissing),
            )
        except Refused as refused:
            if refused.code not in _EXISTS:
                raise

    async def _write(self, call: Call, write: Callable[[], Awaitable[object]]) -> None:
        try:
            await self._clients.run(call, write)
        except Refused as refused:
            if refused.code != "ContainerNotFound":
                raise
            await self._make()
            await self._clients.run(call, write)

    async def _make(self) -> None:
        try:
            await self._clients.run(self._call(f"make container {self._name}"), self._container.create_container)
        except Refused as refused:
            if refused.code != "ContainerAlreadyExists":
                raise

    def _blob(self, key: str) -> BlobClient:
        if not {"", ".", ".."}.isdisjoint(key.split("/")):  # a URL with these means another key
            raise BadInput(f"{key!r} is no blob key: a path of plain names, without an empty one, '.' or '..'")
        return self._container.get_blob_client(key)

    def _call(self, what: str, *, is_read: bool = False, is_repeatable: bool = True) -> Call:
        return Call("blob", f"{what} in container {self._name}", is_read, is_repeatable)


async def _window(blob: BlobClient, start: int) -> bytes:
    download = await blob.download_blob(offset=start, length=_WINDOW_BYTES)
    return await download.readall()
