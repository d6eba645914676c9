"""Where OpenTelemetry's spans and metrics go: batched, from threads of their own, that nothing waits for long.

The providers are this object's own, and not the process's: an application that jobq is a part of has its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from jobq.model.names import new_token

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 3.0
"""For the last exports of a process, all together."""

_TIMEOUT_SECONDS = 10.0
"""Of a request to Application Insights; for OTLP, OTEL_EXPORTER_OTLP_TIMEOUT says it."""


@dataclass(slots=True)
class Trouble:
    """Says once in a process that an endpoint does not take what it is sent."""

    _is_said: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, host: str, why: str) -> None:
        with self._lock:
            is_said, self._is_said = self._is_said, True
        if not is_said:
            logger.warning(
                "could not send spans or metrics to %s (%s): what it does not take in time is dropped, jobs go on all "
                "the same; this is said once",
                host,
                why,
            )


@dataclass(frozen=True, slots=True)
class Providers:
    traces: TracerProvider
    metrics: MeterProvider
    trouble: Trouble
    ends: tuple[Callable[[], object], ...]
    """What sends the last of it, each for itself: one endpoint that hangs must not keep the others from theirs."""

    def close(self) -> None:
        """Threads that are not done in time end with the process."""
        threads = [threading.Thread(target=end, name="jobq-telemetry", daemon=True) for end in self.ends]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            self.trouble.say("their endpoint", f"no answer within {CLOSE_SECONDS:g} s")


def open_providers(*, otlp_traces: bool, otlp_metrics: bool, connection_string: str, version: str) -> Providers:
    """Raises what the libraries raise for a variable that they do not understand."""
    for name in ("opentelemetry", "azure.monitor"):
        # In a script without logging each failed export would be a line on standard error.
        logging.getLogger(name).addHandler(logging.NullHandler())
    trouble = Trouble()
    spans: list[SpanExporter] = [OTLPSpanExporter(session=_Session(trouble))] if otlp_traces else []
    metrics: list[MetricExporter] = [OTLPMetricExporter(session=_Session(trouble))] if otlp_metrics else []
    if connection_string:
        azure_spans, azure_metrics = _application_insights(connection_string, trouble)
        spans.append(azure_spans)
        metrics.append(azure_metrics)
    processors = [BatchSpanProcessor(exporter) for exporter in spans]
    readers = [PeriodicExportingMetricReader(exporter) for exporter in metrics]
    # Nothing at the interpreter's exit: that would wait half a minute for an endpoint that hangs.
    resource = _resource(version)
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    for processor in processors:
        traces.add_span_processor(processor)
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    ends = (*(processor.shutdown for processor in processors), *(reader.shutdown for reader in readers))
    return Providers(traces, meters, trouble, ends)


def _resource(version: str) -> Resource:
    """Who tells. What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins."""
    own = {SERVICE_NAME: "jobq", "service.version": version, "service.instance.id": new_token()}
    said = dict(Resource.create().attributes)
    if str(said.get(SERVICE_NAME, "")).startswith("unknown_service"):
        del said[SERVICE_NAME]
    return Resource({**own, **said})


def _application_insights(connection_string: str, trouble: Trouble) -> tuple[SpanExporter, MetricExporter]:
    from azure.core.pipeline.transport import RequestsTransport
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    def options() -> dict[str, Any]:
        return {
            "connection_string": connection_string,
            "transport": RequestsTransport(
                session=_Session(trouble), connection_timeout=_TIMEOUT_SECONDS, read_timeout=_TIMEOUT_SECONDS
            ),
            "retry_total": 2,
            # No files for what cannot be sent, and no figures about the exporter itself: those are sent at the
            # interpreter's exit, which then waits half a minute where Microsoft's address is not reachable.
            "disable_offline_storage": True,
            "instrumentation_collection": True,
        }

    return AzureMonitorTraceExporter(**options()), AzureMonitorMetricExporter(**options())


class _Session(requests.Session):
    """Hears of each answer what the exporters keep to their own log."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        try:
            answer = super().send(request, **how)
        except requests.RequestException as error:
            self._trouble.say(_host(request), type(error).__name__)
            raise
        if not answer.ok:
            self._trouble.say(_host(request), f"it answered {answer.status_code}")
        return answer


def _host(request: requests.PreparedRequest) -> str:
    """Without what may be a secret: user, path and query."""
    url = urlsplit(request.url or "")
    return f"{url.hostname}:{url.port}" if url.port else str(url.hostname)
