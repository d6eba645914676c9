"""Answers that a caller keeps and asks for again: an etag with each, and 304 without a body while nothing has changed.

So a page that polls costs its reader no bytes. The body is made all the same: storage is asked as for any request.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/api/status"
KEPT = "private, no-cache"
"""Cache-Control of what has an etag. It lets a caller keep its own copy, which it must ask about before each use, with
its key; no cache that several share may have one, since jobs' commands and output are in it. All else is `no-store`."""

_ETAG = re.compile(r'"[^"]*"')


class Conditional:
    """An app whose JSON answers to GET below /api/status carry a strong etag, made of the body's bytes.

    What else it answers (logs, metrics, errors) passes as it comes, unheld.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not is_below(scope["path"]):
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Held(Headers(scope=scope).getlist("if-none-match"), send))


def is_below(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


class _Held:
    """A `send` that keeps a JSON answer until it is whole."""

    def __init__(self, known: Sequence[str], send: Send) -> None:
        self._known = known
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._answer(self._start)

    async def _answer(self, start: Message) -> None:
        etag = etag_of(self._body)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["etag"] = etag
        headers["cache-control"] = KEPT
        body, status = self._body, start["status"]
        if is_known(etag, self._known):
            body, status = b"", 304
            del headers["content-type"], headers["content-length"]
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def etag_of(body: bytes) -> str:
    """A strong one."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_known(etag: str, known: Sequence[str]) -> bool:
    """Whether If-None-Match, its lines in `known`, has the etag: compared weakly, as a proxy that packs makes it weak.

    Source: RFC 9110, 13.1.2.
    """
    return any(line.strip() == "*" or etag in _ETAG.findall(line) for line in known)


def _is_json(start: Message) -> bool:
    kind = Headers(raw=start["headers"]).get("content-type", "").partition(";")[0]
    return start["status"] == 200 and kind == "application/json"
