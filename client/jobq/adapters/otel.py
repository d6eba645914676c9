"""Pushes and attempts as OpenTelemetry's spans and metrics; docs/telemetry.md names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jobq.adapters.otel_export import Providers
from jobq.model.job import FAILURES, Job, Outcome, Reason

_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 72 * 3600)
"""Where the histograms' buckets end: jobs take from moments to days."""

_ERRORS = FAILURES | {Reason.LOST, Reason.UNDECODABLE}
"""The others are ends that somebody asked for."""

_W3C = TraceContextTextMapPropagator()


class OpenTelemetry:
    """Telemetry of this process. `traceparent`: what has started the process is part of."""

    def __init__(self, providers: Providers, traceparent: str) -> None:
        self._providers = providers
        self._tracer = trace.get_tracer("jobq", tracer_provider=providers.traces)
        self._meter = providers.metrics.get_meter("jobq")
        self._traceparent = traceparent
        self._observed: dict[str, list[tuple[Mapping[str, str], Callable[[], int]]]] = {}

    def push(self, realm: str, batch: str) -> PushSpan:
        return PushSpan(self._tracer, self._meter, realm, batch, self._traceparent)

    def worker(self, realm: str, worker: str, *, slots: Callable[[], int], running: Callable[[], int]) -> WorkerSpans:
        told = WorkerSpans(self._tracer, self._meter, realm, worker)
        self._observe("jobq.slots", "jobs that may run at once", told.names, slots)
        self._observe("jobq.running", "jobs that run", told.names, running)
        return told

    def close(self) -> None:
        self._providers.close()

    def _observe(self, name: str, description: str, names: Mapping[str, str], value: Callable[[], int]) -> None:
        """An instrument asks only whom it was made with, so each asks for all realms of the worker."""
        if name not in self._observed:
            told = self._observed[name] = []

            def callback(_options: CallbackOptions) -> Iterator[Observation]:
                for names, value in [*told]:
                    yield Observation(value(), names)

            self._meter.create_observable_up_down_counter(name, [callback], "{job}", description)
        self._observed[name].append((names, value))


class PushSpan:
    def __init__(self, tracer: Tracer, meter: Meter, realm: str, batch: str, traceparent: str) -> None:
        self._realm = realm
        self._pushed = meter.create_counter("jobq.pushed", "{job}", "jobs pushed, by what became of them")
        self._counts: Counter[str] = Counter()
        is_inside = trace.get_current_span().get_span_context().is_valid
        self._span = tracer.start_span(
            f"push {realm}",
            context=None if is_inside else _context(traceparent),
            kind=SpanKind.PRODUCER,
            attributes={**_messaging("push", "send", realm), "jobq.realm": realm, "jobq.batch": batch},
        )
        self.traceparent = _traceparent(self._span)

    def answered(self, results: Sequence[dict[str, Any]]) -> None:
        for status, count in Counter(str(result["status"]) for result in results).items():
            self._counts[status] += count
            self._pushed.add(count, {"jobq.realm": self._realm, "jobq.status": status})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._span.set_attribute("messaging.batch.message_count", self._counts.total())
        self._span.set_attributes({f"jobq.jobs.{status}": count for status, count in self._counts.items()})
        if kind is not None:
            _fail(self._span, kind.__name__)
        self._span.end()


class WorkerSpans:
    def __init__(self, tracer: Tracer, meter: Meter, realm: str, worker: str) -> None:
        self.tracer = tracer
        self.realm = realm
        self.names = {"jobq.realm": realm, "jobq.worker": worker}
        self._ended = meter.create_counter("jobq.attempts", "{attempt}", "attempts that ended")
        self._took = _histogram(meter, "jobq.attempt.duration", "from an attempt's start to its end")
        self._waited = _histogram(meter, "jobq.wait.duration", "from a push to a job's first start")

    def attempt(self, job: Job) -> AttemptSpan:
        return AttemptSpan(self, job)

    def lost(self, before: Job, after: Job) -> None:
        """As a span from the lost attempt's start to now: its own worker may not be there to tell."""
        span = self.start(before, before.started_at)
        names = {"jobq.worker": before.worker, "jobq.state": after.state.value, "jobq.reason": Reason.LOST.value}
        span.set_attributes(names)
        _fail(span, Reason.LOST.value)
        span.end()
        self._ended.add(1, {**self.names, **names})

    def start(self, job: Job, at: datetime | None = None) -> Span:
        """Now, or at the time given."""
        return self.tracer.start_span(
            f"process {self.realm}",
            context=_context(job.spec.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={**_messaging("process", "process", self.realm), **self.names, **_attributes(job)},
            start_time=int(at.timestamp() * 1e9) if at else None,
        )

    def waited(self, job: Job) -> None:
        if job.attempt == 1 and job.pushed_at and job.started_at:
            seconds = (job.started_at - job.pushed_at).total_seconds()
            self._waited.record(max(0.0, seconds), self.names)  # by the clocks of two machines

    def ended(self, names: Mapping[str, str], seconds: float) -> None:
        self._ended.add(1, {**self.names, **names})
        self._took.record(seconds, {**self.names, "jobq.reason": names["jobq.reason"]})


@dataclass(slots=True)
class AttemptSpan:
    _worker: WorkerSpans
    _job: Job
    traceparent: str = field(init=False)
    _span: Span = field(init=False)
    _is_told: bool = False

    def __post_init__(self) -> None:
        self._span = self._worker.start(self._job)
        self.traceparent = _traceparent(self._span)

    def ended(self, outcome: Outcome, after: Job | None) -> None:
        names = {
            "jobq.state": after.state.value if after else "gone",
            "jobq.reason": outcome.reason.value if outcome.reason else "ok",
        }
        self._span.set_attributes({**names, "jobq.duration": outcome.seconds})
        if outcome.exit_code is not None:
            self._span.set_attribute("jobq.exit_code", outcome.exit_code)
        if outcome.reason in _ERRORS:
            how = f" {outcome.exit_code}" if outcome.reason is Reason.EXIT and outcome.exit_code is not None else ""
            _fail(self._span, names["jobq.reason"], f"{names['jobq.reason']}{how}")
        self._worker.waited(self._job)
        self._worker.ended(names, outcome.seconds)
        self._is_told = True

    def left(self) -> None:
        self._span.set_attribute("jobq.reason", Reason.LOST.value)
        _fail(self._span, Reason.LOST.value)
        self._is_told = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None:
            _fail(self._span, kind.__name__)
        if kind is not None or self._is_told:  # else it was not started, and a span without an end is not sent
            self._span.end()


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS)


def _messaging(name: str, kind: str, realm: str) -> dict[str, str]:
    """Source: OpenTelemetry's semantic conventions for messaging spans."""
    return {
        "messaging.system": "jobq",
        "messaging.destination.name": realm,
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }


def _attributes(job: Job) -> dict[str, str | int]:
    """Who it is, and how often it was tried. Never what it runs, or with what: that may hold secrets."""
    return {
        "messaging.message.id": job.id,
        "jobq.job_id": job.id,
        "jobq.batch": job.batch,
        "jobq.attempt": job.attempt,
        **{f"jobq.tries.{reason.value}": count for reason, count in job.tries.items()},
    }


def _fail(span: Span, kind: str, description: str = "") -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR, description or kind)


def _context(traceparent: str) -> Context:
    """What is not one, or empty, begins a trace."""
    return _W3C.extract({"traceparent": traceparent}, context=Context())


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent", "")
