"""Azure's instance metadata endpoint, as far as scheduled events and scale sets go: there is none outside of Azure."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MACHINE = "gpu_7"


class MetadataEndpoint:
    """`events` is what the next answer holds; `fails` is an HTTP status to answer with."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.fails = 0
        self.asked = 0
        self.url = ""
        self.compute: dict[str, str] = {}
        """What the machine is told of itself."""

    def announce(
        self, kind: str = "Preempt", *, machine: str = MACHINE, status: str = "Scheduled", at: str = ""
    ) -> None:
        self.events.append(
            {
                "EventId": f"event-{len(self.events) + 1}",
                "EventType": kind,
                "ResourceType": "VirtualMachine",
                "Resources": [machine] if machine else [],
                "EventStatus": status,
                "NotBefore": at,
                "Description": "",
                "EventSource": "Platform",
                "DurationInSeconds": -1,
            }
        )

    def be_in(self, scale_set: str, instance: str, *, is_flexible: bool = False) -> None:
        """One machine of the set with this id."""
        _, _, subscription, _, group, *_, name = scale_set.split("/")
        machine = scale_set.replace("virtualMachineScaleSets/" + name, f"virtualMachines/{instance}")
        self.compute = {
            "azEnvironment": "AzurePublicCloud",
            "name": instance if is_flexible else f"{name}_{instance}",
            "resourceGroupName": group,
            "resourceId": machine if is_flexible else f"{scale_set}/virtualMachines/{instance}",
            "subscriptionId": subscription,
            "vmScaleSetName": name,
        }

    def withdraw(self) -> None:
        self.events = []


@contextmanager
def metadata_endpoint() -> Iterator[MetadataEndpoint]:
    endpoint = MetadataEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            query = parse_qs(where.query)
            status, body = 200, b""
            if self.headers.get("Metadata") != "true" or "api-version" not in query:
                status = 400
            elif endpoint.fails:
                status = endpoint.fails
            elif where.path == "/metadata/instance/compute/name" and query.get("format") == ["text"]:
                body = MACHINE.encode()
            elif where.path == "/metadata/instance/compute" and query.get("format") == ["json"]:
                body = json.dumps(endpoint.compute).encode()
            elif where.path == "/metadata/scheduledevents":
                endpoint.asked += 1
                body = json.dumps({"DocumentIncarnation": endpoint.asked, "Events": endpoint.events}).encode()
            else:
                status = 404
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it needs to know."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield endpoint
        server.shutdown()
        serving.join()
