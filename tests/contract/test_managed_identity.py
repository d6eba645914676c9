"""As which of a machine's identities jobq logs in: an endpoint like Azure ML's is asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from jobq.adapters.azure_credential import own_credential
from jobq.settings import read_settings

Asked = list[dict[str, list[str]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """The queries that come to the endpoint."""
    queries: Asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            queries.append(query)
            token = {"access_token": "t", "expires_on": int(time.time()) + 3600, "token_type": "Bearer"}
            body = json.dumps({**token, "resource": query["resource"][0]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it needs to know."""

    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("MSI_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/msi")
        monkeypatch.setenv("MSI_SECRET", "s")
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield queries
        server.shutdown()
        serving.join()


@pytest.mark.parametrize(
    ("variables", "identity"),
    [
        ({}, None),
        ({"DEFAULT_IDENTITY_CLIENT_ID": "id-1"}, ["id-1"]),
        ({"DEFAULT_IDENTITY_CLIENT_ID": "id-1", "AZURE_CLIENT_ID": "id-2"}, ["id-2"]),
    ],
)
async def test_the_identity_that_the_environment_names_is_used(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], identity: list[str] | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async with own_credential(read_settings(queue="lab/exp7").managed_identity) as credential:
        token = await credential.get_token("https://storage.azure.com/.default")

    assert token.token == "t"
    assert [query.get("clientid") for query in asked] == [identity]
