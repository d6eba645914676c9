"""The one HTTP session that all SDK clients of a stack share."""

from __future__ import annotations

from io import BytesIO
from types import TracebackType
from typing import Any
from urllib.request import getproxies

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import AsyncHttpResponse, HttpRequest

from jobq.adapters.azure_errors import Answered, Patience, answer_of

_CONNECTIONS = 64
# Less than the 5 s after which Azurite closes an idle connection: a write that meets the closing one is a lost reply,
# and for the renewal of a lease that is a lost lease.
_KEEP_ALIVE_SECONDS = 4
_LARGE_BYTES = 256 * 1024
_READ_BYTES = 256 * 1024


class ConnectionBroke(aiohttp.ClientError):
    """A connection ended before the answer came."""


class SharedTransport(AioHttpTransport):  # type: ignore[misc]  # azure-core loads it lazily, which hides its type
    """azure-core's transport with a session of our making, opened at the first request (it needs a running loop).

    No client closes it: `end` does.
    """

    def __init__(self, patience: Patience) -> None:
        super().__init__(
            connection_timeout=patience.connect.total_seconds(),
            read_timeout=patience.answer.total_seconds(),
            connection_data_block_size=_READ_BYTES,
        )
        self.session: aiohttp.ClientSession | None = None
        self._has_ended = False

    async def open(self) -> None:
        if self.session is None and not self._has_ended:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=["Accept-Encoding", "User-Agent"],
                trust_env=bool(getproxies()),  # costs a look at the environment for each request
                middlewares=[_never_repeat_writes],
            )
        await super().open()

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponse:  # Any: azure-core's own options
        """Raises Answered for an answer that is an error, which the SDKs would first decode.

        From an answer that is not in the service's own format, as proxies and gateways give, they would make another
        kind of error, and lose its status.
        """
        response: AsyncHttpResponse = await super().send(_in_pieces(request), **options)
        if response.status_code >= 400 and not _is_understood(response):
            await response.read()
            raise Answered(answer_of(response))
        return response

    async def end(self) -> None:
        """Close the session; nothing can be sent any more."""
        self._has_ended = True
        await super().close()

    async def close(self) -> None:
        """Nothing: this is a client that closes, and others may still be in use."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


def _is_understood(response: AsyncHttpResponse) -> bool:
    """Whether an SDK goes on with it: a challenge to authenticate, or a range beyond the end of a blob."""
    return response.status_code == 416 or (response.status_code == 401 and "WWW-Authenticate" in response.headers)


def _in_pieces(request: HttpRequest) -> HttpRequest:
    """The request with a large body as a stream: aiohttp warns of one that it has to send in a single piece."""
    body = request.content
    if not isinstance(body, bytes) or len(body) < _LARGE_BYTES:
        return request
    headers = {**request.headers, "Content-Length": str(len(body))}
    return HttpRequest(request.method, request.url, headers=headers, content=BytesIO(body))


async def _never_repeat_writes(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending PUT and DELETE again when a kept connection breaks: it does so on two errors."""
    try:
        return await handler(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionBroke(type(error).__name__) from error
