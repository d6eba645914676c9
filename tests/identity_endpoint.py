"""An endpoint that gives a machine's identities their tokens, as Azure ML's does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.resource_manager import TOKEN

Asked = list[dict[str, list[str]]]


@contextmanager
def identity_endpoint(token: str = TOKEN) -> Iterator[tuple[dict[str, str], Asked]]:
    """The variables that lead to it, and the queries that come."""
    asked: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query)
            answer = {"access_token": token, "expires_on": int(time.time()) + 3600, "token_type": "Bearer"}
            body = json.dumps({**answer, "resource": query["resource"][0]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it needs to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/msi"
        yield {"MSI_ENDPOINT": url, "MSI_SECRET": "s"}, asked
        server.shutdown()
        serving.join()
