"""The Python client in a program that traces itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from jobq import Client
from jobq.errors import BadInput
from tests.telemetry.receiver import Receiver, attributes_of


def test_push_goes_on_with_the_span_that_it_is_in(otlp: Receiver, tmp_path: Path) -> None:
    # Given
    current = SpanContext(0xABCD, 0xEF, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(current)))

    # When
    with Client(f"local:{tmp_path}/q/demo") as queue:
        batch = queue.push(["true", {"cmd": "true", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}])
        own, given = (queue.job(job_id)["traceparent"] for job_id in batch.ids)
    context.detach(token)

    # Then
    (push,) = otlp.spans()
    assert (push.trace_id.hex(), push.parent_span_id.hex()) == (f"{0xABCD:032x}", f"{0xEF:016x}")
    assert own.split("-")[1:3] == [push.trace_id.hex(), push.span_id.hex()]
    assert given == f"00-{'1' * 32}-{'2' * 16}-01"
    # and the program's own providers are left alone
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_push_that_is_refused_is_an_error_without_its_words(otlp: Receiver, tmp_path: Path) -> None:
    with Client(f"local:{tmp_path}/q/demo") as queue, pytest.raises(BadInput):
        queue.push([{"cmd": "s3cr3t", "s3cr3t": 1}])
    (push,) = otlp.spans()
    assert attributes_of(push.attributes)["error.type"] == "BadInput"
    assert not any(b"s3cr3t" in body for _, body in otlp.requests)
