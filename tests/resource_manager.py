"""Azure Resource Manager with one scale set, as far as growing it and leaving it go: there is none outside of Azure."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from azure.core.credentials import AccessToken

SCALE_SET = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/lab"
    "/providers/Microsoft.Compute/virtualMachineScaleSets/workers"
)
TOKEN = "sesame"
PAGE = 2


class Credential:
    """Gives the token that the manager lets in, and remembers for what."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        return AccessToken(TOKEN, int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Credential:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class ResourceManager:
    """Machines that were asked for come when the test says so. `replies`: given first, if the method fits."""

    def __init__(self) -> None:
        self.url = ""
        self.capacity = 0
        self.state = "Succeeded"
        self.machines: dict[str, str] = {}
        """By instance id: its provisioning state."""
        self.quota = 1000
        self.replies: list[tuple[str, tuple[int, dict[str, str], dict[str, Any]]]] = []
        self.asked: list[tuple[str, str]] = []
        """Methods, and the ends of paths."""
        self.next_link = ""
        """Where the second page is, if not here."""

    def has(self, *machines: str) -> None:
        self.machines = dict.fromkeys(machines, "Succeeded")
        self.capacity = len(machines)

    def arrive(self) -> None:
        """The machines that were asked for."""
        for n in range(len(self.machines), self.capacity):
            self.machines[str(n)] = "Creating"
        self.state = "Succeeded"

    def refuse(self, status: int, code: str, *, message: str = "", method: str = "", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.replies.append((method, (status, named, {"error": {"code": code, "message": message}})))

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, dict[str, str], Any]:
        what = path.removeprefix(SCALE_SET)
        self.asked.append((method, what))
        if self.replies and self.replies[0][0] in ("", method):
            return self.replies.pop(0)[1]
        if not path.startswith(SCALE_SET):
            return 404, {}, {"error": {"code": "ResourceNotFound", "message": "no such thing"}}
        if (method, what) == ("GET", ""):
            return (
                200,
                {},
                {"sku": {"name": "D2", "capacity": self.capacity}, "properties": {"provisioningState": self.state}},
            )
        if (method, what) == ("GET", "/virtualMachines"):
            return 200, {}, self._page(int(query.get("skip", ["0"])[0]))
        if (method, what) == ("PATCH", ""):
            return self._grow(body["sku"]["capacity"])
        if (method, what) == ("POST", "/delete"):
            for machine in body["instanceIds"]:
                self.machines[machine] = "Deleting"
                self.capacity -= 1
            return 202, self._operation(), None
        return 405, {}, {"error": {"code": "MethodNotAllowed", "message": ""}}

    def _page(self, skip: int) -> Any:
        shown = list(self.machines.items())[skip : skip + PAGE]
        page: dict[str, Any] = {
            "value": [{"instanceId": name, "properties": {"provisioningState": state}} for name, state in shown]
        }
        if skip + PAGE < len(self.machines):
            base = self.next_link or f"{self.url}{SCALE_SET}/virtualMachines"
            page["nextLink"] = f"{base}?api-version=2024-07-01&skip={skip + PAGE}"
        return page

    def _grow(self, capacity: int) -> tuple[int, dict[str, str], Any]:
        if self.state == "Updating":
            return 409, {}, {"error": {"code": "Conflict", "message": "another operation is in progress"}}
        if capacity > self.quota:
            text = "Operation could not be completed as it results in exceeding approved Total Regional Cores quota."
            return 409, {}, {"error": {"code": "OperationNotAllowed", "message": text}}
        self.capacity, self.state = capacity, "Updating"
        return 202, self._operation(), None

    def _operation(self) -> dict[str, str]:
        return {"Azure-AsyncOperation": f"{self.url}/operations/1", "Retry-After": "10"}


@contextmanager
def resource_manager() -> Iterator[ResourceManager]:
    manager = ResourceManager()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            where = urlsplit(self.path)
            query = parse_qs(where.query)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, headers, found = 401, {}, {"error": {"code": "AuthenticationFailed", "message": ""}}
            elif "api-version" not in query:
                status, headers, found = 400, {}, {"error": {"code": "MissingApiVersionParameter", "message": ""}}
            else:
                status, headers, found = manager.answer(self.command, where.path, query, json.loads(sent or b"null"))
            body = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PATCH = do_POST = _answer

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it needs to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        manager.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield manager
        server.shutdown()
        serving.join()
