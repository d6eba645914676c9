"""What each end of an attempt looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from jobq.adapters.otel import OpenTelemetry
from jobq.adapters.otel_export import Providers, Trouble
from jobq.model.job import Job, JobState, Outcome, Reason, Spec
from jobq.telemetry import WorkerTelemetry

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB = Job("b-1", "b", Spec(command="secret", traceparent=PARENT), attempt=1, pushed_at=NOON, started_at=NOON)


@dataclass(slots=True)
class Told:
    telemetry: OpenTelemetry
    worker: WorkerTelemetry
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def span(self) -> ReadableSpan:
        (span,) = self.exporter.get_finished_spans()
        return span

    def attempts(self) -> list[Mapping[str, Any]]:
        """The attributes under which attempts were counted."""
        return [names for names, _ in self.points("jobq.attempts")]

    def points(self, name: str) -> list[tuple[Mapping[str, Any], float]]:
        data = self.reader.get_metrics_data()
        scopes = [scope for group in data.resource_metrics for scope in group.scope_metrics] if data else []
        metrics = [metric for scope in scopes for metric in scope.metrics if metric.name == name]
        points = [point for metric in metrics for point in metric.data.data_points]
        return [(dict(point.attributes or {}), point.value) for point in points]


@pytest.fixture
def told() -> Iterator[Told]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = OpenTelemetry(Providers(traces, metrics, Trouble(), ()), "")
    yield Told(telemetry, telemetry.worker("exp7", "w1", slots=lambda: 2, running=lambda: 1), exporter, reader)
    traces.shutdown()
    metrics.shutdown()


@pytest.mark.parametrize(
    ("outcome", "state", "status", "description"),
    [
        (Outcome(exit_code=0), JobState.SUCCEEDED, StatusCode.UNSET, None),
        (Outcome(Reason.EXIT, exit_code=3, message="secret"), JobState.FAILED, StatusCode.ERROR, "exit 3"),
        (Outcome(Reason.OOM, exit_code=137), JobState.QUEUED, StatusCode.ERROR, "oom"),
        (Outcome(Reason.UNDECODABLE), JobState.FAILED, StatusCode.ERROR, "undecodable"),
        (Outcome(Reason.PREEMPTED, exit_code=143), JobState.QUEUED, StatusCode.UNSET, None),
        (Outcome(Reason.CANCELLED), JobState.CANCELLED, StatusCode.UNSET, None),
    ],
)
def test_an_attempt_that_failed_is_an_error_and_one_that_was_stopped_is_not(
    outcome: Outcome, state: JobState, status: StatusCode, description: str | None, told: Told
) -> None:
    with told.worker.attempt(JOB) as attempt:
        attempt.ended(outcome, JOB.moved_to(state))
    span, reason = told.span(), outcome.reason or "ok"
    assert (span.status.status_code, span.status.description) == (status, description)
    assert span.attributes
    assert (span.attributes["jobq.state"], span.attributes["jobq.reason"]) == (state, reason)
    names = {"jobq.realm": "exp7", "jobq.worker": "w1", "jobq.state": state, "jobq.reason": reason}
    assert told.attempts() == [names]
    assert "secret" not in span.to_json()


def test_an_attempt_continues_the_trace_of_its_push_and_hands_it_on(told: Told) -> None:
    with told.worker.attempt(JOB) as attempt:
        attempt.ended(Outcome(), JOB.moved_to(JobState.SUCCEEDED))
    span = told.span()
    assert span.context
    assert span.parent
    assert (f"{span.context.trace_id:x}", f"{span.parent.span_id:x}") == ("ab" * 16, "cd" * 8)
    assert attempt.traceparent.split("-")[1:3] == ["ab" * 16, f"{span.context.span_id:016x}"]


def test_an_attempt_without_a_trace_begins_one(told: Told) -> None:
    with told.worker.attempt(Job("b-1", "b", Spec(command="true"))) as attempt:
        attempt.ended(Outcome(), None)
    assert told.span().parent is None
    assert told.attempts()[0]["jobq.state"] == "gone"


def test_an_attempt_that_was_not_started_leaves_no_trace(told: Told) -> None:
    with told.worker.attempt(JOB):
        pass
    assert told.exporter.get_finished_spans() == ()
    assert told.attempts() == []


def test_an_attempt_whose_lease_was_lost_is_an_error_that_another_worker_counts(told: Told) -> None:
    with told.worker.attempt(JOB) as attempt:
        attempt.left()
    assert told.span().status.description == "lost"
    assert told.attempts() == []


def test_an_error_of_ours_is_told_by_its_name_alone(told: Told) -> None:
    with suppress(ValueError), told.worker.attempt(JOB):
        raise ValueError("secret")
    assert told.span().status.description == "ValueError"
    assert "secret" not in told.span().to_json()


def test_a_lost_attempt_lasts_from_its_start_to_when_it_was_found(told: Told) -> None:
    told.worker.lost(
        Job("b-1", "b", JOB.spec, worker="w0", attempt=1, started_at=NOON - timedelta(hours=1)),
        JOB.moved_to(JobState.FAILED),
    )
    span = told.span()
    assert span.start_time == int((NOON - timedelta(hours=1)).timestamp()) * 10**9
    assert told.attempts() == [
        {"jobq.realm": "exp7", "jobq.worker": "w0", "jobq.state": "failed", "jobq.reason": "lost"}
    ]


def test_worker_of_two_realms_is_told_of_in_both(told: Told) -> None:
    told.telemetry.worker("exp8", "w1", slots=lambda: 2, running=lambda: 0)

    running = {names["jobq.realm"]: count for names, count in told.points("jobq.running")}
    slots = {names["jobq.realm"]: count for names, count in told.points("jobq.slots")}

    assert (running, slots) == ({"exp7": 1, "exp8": 0}, {"exp7": 2, "exp8": 2})
