"""A small HTTP server that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        data = gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body
        return json.loads(data)


@dataclass(frozen=True)
class Reply:
    """`is_lost`: the connection is closed without an answer."""

    status: int = 200
    document: object = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_lost: bool = False


def problem(status: int, detail: str, **more: object) -> Reply:
    document = {"type": "urn:jobq:x", "title": "x", "status": status, "detail": detail, **more}
    return Reply(status, document, {"Content-Type": "application/problem+json", "Retry-After": "0"})


def pushed(asked: Asked) -> Reply:
    body = asked.json()
    results = [{"id": job["id"], "status": "queued", "state": "queued"} for job in body["jobs"]]
    return Reply(document={"batch": body["batch"], "results": results})


class StubService:
    """`replies` are given one after the other; when they are used up, `answer` says what comes."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply] = []
        self.answer: Callable[[Asked], Reply] = lambda asked: Reply()
        service = self

        class Handler(_Handler):
            stub = service

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    stub: StubService
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        self.stub.asked.append(asked)
        reply = self.stub.replies.pop(0) if self.stub.replies else self.stub.answer(asked)
        if reply.is_lost:
            self.close_connection = True
            return
        data = reply.document if isinstance(reply.document, bytes) else json.dumps(reply.document).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

    def log_message(self, format: str, *args: Any) -> None:
        pass
