"""What takes spans and metrics in a test: OTLP over HTTP, and what Application Insights takes them with."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Attributes = dict[str, Any]


@dataclass(slots=True)
class Receiver:
    url: str = ""
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    """Path and body of each, in the order they came."""
    status: int = 200
    go_on: threading.Event = field(default_factory=threading.Event)
    """Requests are answered while it is set."""

    def spans(self) -> list[Span]:
        exports = [ExportTraceServiceRequest.FromString(body) for body in self._bodies("/v1/traces")]
        scopes = [scope for export in exports for group in export.resource_spans for scope in group.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def resources(self) -> list[Attributes]:
        exports = [ExportTraceServiceRequest.FromString(body) for body in self._bodies("/v1/traces")]
        return [attributes_of(group.resource.attributes) for export in exports for group in export.resource_spans]

    def points(self, name: str) -> list[tuple[Attributes, Any]]:
        """Of a metric, with their attributes: of a histogram its points, else the numbers."""
        return [
            (attributes_of(point.attributes), point if metric.HasField("histogram") else point.as_int)
            for metric in self._metrics()
            if metric.name == name
            for point in (metric.histogram if metric.HasField("histogram") else metric.sum).data_points
        ]

    def names(self) -> set[str]:
        return {metric.name for metric in self._metrics()}

    def envelopes(self) -> list[dict[str, Any]]:
        """What Application Insights was sent: one JSON document for each span and each point."""
        return [envelope for body in self._bodies("/v2.1/track") for envelope in json.loads(body)]

    def _metrics(self) -> list[Metric]:
        exports = [ExportMetricsServiceRequest.FromString(body) for body in self._bodies("/v1/metrics")]
        scopes = [scope for export in exports for group in export.resource_metrics for scope in group.scope_metrics]
        return [metric for scope in scopes for metric in scope.metrics]

    def _bodies(self, path: str) -> list[bytes]:
        return [body for asked, body in self.requests if asked == path]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.requests.append((self.path, body))
            receiver.go_on.wait()
            with suppress(ConnectionError):  # who asked may have ended meanwhile
                self._answer(body)

        def _answer(self, body: bytes) -> None:
            count = len(json.loads(body)) if self.path.endswith("/track") else 0
            told = {"itemsReceived": count, "itemsAccepted": count, "errors": []}
            answer = json.dumps(told).encode() if count else b""
            self.send_response(receiver.status)
            self.send_header("Content-Type", "application/json" if count else "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.go_on.set()
            server.shutdown()
            thread.join()


def attributes_of(values: Any) -> Attributes:
    return {pair.key: _value(pair) for pair in values}


def _value(pair: KeyValue) -> Any:
    return getattr(pair.value, str(pair.value.WhichOneof("value")))
