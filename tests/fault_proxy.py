"""An HTTP proxy in front of Azurite that breaks what it is told to break."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

import aiohttp
from aiohttp import web
from yarl import URL

from tests.azurite import Azurite

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Break(Enum):
    """What happens to the connection of one request."""

    BEFORE = "reset before Azurite has seen the request"
    AFTER = "reset after Azurite has done the request: the reply is lost"
    STALL = "Azurite does the request, and the answer never comes"


@dataclass(frozen=True, slots=True)
class Say:
    """Answer one request in Azurite's place."""

    status: int
    code: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """In place of an error in the table service's format."""


@dataclass(slots=True)
class FaultProxy:
    """Faults are used up one by one, by requests whose line contains `only`; the rest pass."""

    connection_string: str = ""
    faults: list[Break | Say] = field(default_factory=list)
    only: str = ""
    seen: list[str] = field(default_factory=list)
    """Method and path of each request, those answered here included."""

    def break_next(self, *faults: Break | Say, only: str = "") -> None:
        self.faults, self.only, self.seen = list(faults), only, []

    def take(self, line: str) -> Break | Say | None:
        self.seen.append(line)
        return self.faults.pop(0) if self.faults and self.only in line else None


@asynccontextmanager
async def running_proxy(azurite: Azurite) -> AsyncIterator[FaultProxy]:
    """Three listeners, one for each service of `azurite`, until the block ends."""
    proxy = FaultProxy()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=["Content-Type"])
        )
        ends = asyncio.Event()
        ports = []
        for target in (azurite.blob_port, azurite.queue_port, azurite.table_port):
            application = web.Application(client_max_size=2**26)
            application.router.add_route("*", "/{path:.*}", _handler(proxy, session, target, ends))
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            ports.append(runner.addresses[0][1])
        stack.callback(ends.set)
        proxy.connection_string = Azurite.at(*ports)
        yield proxy


def _handler(proxy: FaultProxy, session: aiohttp.ClientSession, target: int, ends: asyncio.Event) -> web.Handler:  # type: ignore[name-defined]  # aiohttp exports no name for it
    async def handle(request: web.Request) -> web.StreamResponse:
        fault = proxy.take(f"{request.method} {request.raw_path}")
        if isinstance(fault, Say):
            error = b'{"odata.error":{"code":"%s","message":{"value":"0:said by the proxy"}}}' % fault.code.encode()
            return web.Response(
                status=fault.status,
                headers={"x-ms-error-code": fault.code, **fault.headers},
                body=error if fault.body is None else fault.body,
            )
        if fault is Break.BEFORE:
            return _reset(request)
        answer = await _forward(session, target, request)
        if fault is Break.AFTER:
            return _reset(request)
        if fault is Break.STALL:
            await ends.wait()
        return answer

    return handle


async def _forward(session: aiohttp.ClientSession, target: int, request: web.Request) -> web.Response:
    url = URL(f"http://127.0.0.1:{target}{request.raw_path}", encoded=True)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
    async with session.request(request.method, url, headers=headers, data=await request.read() or None) as answer:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
        return web.Response(status=answer.status, headers=kept, body=await answer.read())


def _reset(request: web.Request) -> web.Response:
    assert request.transport is not None
    connection = request.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST in place of FIN
    request.transport.abort()
    return web.Response()
