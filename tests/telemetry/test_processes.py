"""Real pushes and workers, and what arrives of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.fault.processes import Processes, lines_of
from tests.stacks import PLACES
from tests.telemetry.conftest import KEY, succeeded
from tests.telemetry.receiver import Receiver, attributes_of
from tests.until import until

ONCE_MORE = ("--num-retries", "1", "--backoff", "10ms")
SECOND_TRY = 'test "$JOBQ_ATTEMPT" = 2'


def of_kind(receiver: Receiver, kind: Span.SpanKind.ValueType) -> list[Span]:
    """In the order they began."""
    return sorted((span for span in receiver.spans() if span.kind == kind), key=lambda span: span.start_time_unix_nano)


@pytest.mark.parametrize("place", PLACES, indirect=True)
async def test_one_trace_goes_from_a_push_to_the_last_attempt(
    otlp: Receiver, processes: Processes, tmp_path: Path
) -> None:
    # Given a job that fails once and then succeeds
    told = tmp_path / "told"
    job = f"echo $TRACEPARENT >> {told}; {SECOND_TRY}"

    # When
    await succeeded(processes.jobq("push", "-c", job, "--batch", "b", *ONCE_MORE))
    await succeeded(processes.worker("--exit-when-empty"))

    # Then
    (push,) = of_kind(otlp, Span.SPAN_KIND_PRODUCER)
    first, second = of_kind(otlp, Span.SPAN_KIND_CONSUMER)
    realm = processes.place.address.realm
    assert {span.trace_id for span in (first, second)} == {push.trace_id}
    assert [span.parent_span_id for span in (push, first, second)] == [b"", push.span_id, push.span_id]
    assert [span.name for span in (push, first, second)] == [f"push {realm}", f"process {realm}", f"process {realm}"]
    assert [span.status.code for span in (push, first, second)] == [
        Status.STATUS_CODE_UNSET,
        Status.STATUS_CODE_ERROR,
        Status.STATUS_CODE_UNSET,
    ]
    assert first.status.message == "exit 1"
    assert attributes_of(push.attributes).items() >= {"jobq.batch": "b", "jobq.jobs.queued": 1}.items()
    common = {"jobq.realm": realm, "jobq.job_id": "b-000001", "jobq.batch": "b", "messaging.system": "jobq"}
    ends = [
        {"jobq.attempt": 1, "jobq.state": "queued", "jobq.reason": "exit", "jobq.exit_code": 1, "error.type": "exit"},
        {"jobq.attempt": 2, "jobq.state": "succeeded", "jobq.reason": "ok", "jobq.tries.exit": 1},
    ]
    for span, end in zip((first, second), ends, strict=True):
        attributes = attributes_of(span.attributes)
        assert attributes.items() >= (common | end).items()
        assert attributes["jobq.worker"]
        assert attributes["jobq.duration"] > 0
    # And the job's own process can go on with it
    assert [line[:-3] for line in lines_of(told)] == [
        f"00-{span.trace_id.hex()}-{span.span_id.hex()}" for span in (first, second)
    ]
    assert {resource["service.name"] for resource in otlp.resources()} == {"jobq"}


async def test_metrics_count_pushes_attempts_and_the_time_they_take(otlp: Receiver, processes: Processes) -> None:
    # When
    await succeeded(processes.jobq("push", "-c", SECOND_TRY, "-c", "exit 0", "--batch", "b", *ONCE_MORE))
    await succeeded(processes.worker("--exit-when-empty", "-n", "3"))

    # Then
    realm = {"jobq.realm": processes.place.address.realm}
    assert otlp.points("jobq.pushed") == [({**realm, "jobq.status": "queued"}, 2)]
    worker = {"jobq.worker": otlp.points("jobq.slots")[-1][0]["jobq.worker"]}
    ends = {(end["jobq.state"], end["jobq.reason"]): count for end, count in otlp.points("jobq.attempts")}
    assert ends == {("queued", "exit"): 1, ("succeeded", "ok"): 2}
    assert all(end.items() >= (realm | worker).items() for end, _ in otlp.points("jobq.attempts"))
    took = {end["jobq.reason"]: point for end, point in otlp.points("jobq.attempt.duration")}
    assert {reason: point.count for reason, point in took.items()} == {"exit": 1, "ok": 2}
    assert all(0 < point.sum < 60 for point in took.values())
    ((_, waited),) = otlp.points("jobq.wait.duration")
    assert (waited.count, waited.sum > 0) == (2, True)
    assert otlp.points("jobq.slots") == [(realm | worker, 3)]
    assert otlp.points("jobq.running") == [(realm | worker, 0)]


async def test_nothing_of_what_a_job_runs_is_told(
    otlp: Receiver, application_insights: Receiver, processes: Processes
) -> None:
    # Given a secret wherever a job can have one
    secret = "s3cr3t"
    job = f"echo {secret}; echo {secret} > $JOBQ_ERROR_FILE; echo '{secret} 0.5' > $JOBQ_PROGRESS; exit 1"

    # When
    await succeeded(processes.jobq("push", "-c", job, "-e", f"TOKEN={secret}", "--batch", "b"))
    await succeeded(processes.worker("--exit-when-empty"))

    # Then
    assert of_kind(otlp, Span.SPAN_KIND_CONSUMER)
    assert [path for path, body in otlp.requests if secret.encode() in body] == []


async def test_push_over_http_begins_the_same_trace(otlp: Receiver, processes: Processes) -> None:
    # Given
    processes.jobq("serve", "--port", "0")
    await until(lambda: "http://" in processes.said(0))
    url = re.search(r"http://127\.0\.0\.1:\d+", processes.said(0))
    assert url, processes.said(0)

    # When
    realm = processes.place.address.realm
    await succeeded(processes.jobq(f"{url[0]}/api/{realm}", "push", "-c", "true", "--batch", "b"))
    await succeeded(processes.jobq(f"{url[0]}/api/{realm}", "worker"))

    # Then
    (push,) = of_kind(otlp, Span.SPAN_KIND_PRODUCER)
    (attempt,) = of_kind(otlp, Span.SPAN_KIND_CONSUMER)
    assert (attempt.trace_id, attempt.parent_span_id) == (push.trace_id, push.span_id)


async def test_push_goes_on_with_the_trace_that_started_it(
    otlp: Receiver, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")

    # When
    await succeeded(processes.jobq("push", "-c", "true"))

    # Then
    (push,) = otlp.spans()
    assert (push.trace_id, push.parent_span_id) == (b"\xab" * 16, b"\xcd" * 8)


async def test_attempt_of_a_killed_worker_is_told_by_the_one_that_takes_over(
    otlp: Receiver, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    # Given a worker killed in mid-job
    ran = tmp_path / "ran"
    job = f"echo $JOBQ_WORKER_ID >> {ran}; [ $JOBQ_ATTEMPT = 2 ] || while [ -e {hold} ]; do sleep 0.1; done"
    await succeeded(processes.jobq("push", "-c", job, "--batch", "b"))
    killed = processes.worker("--visibility-timeout", "4s")
    await until(lambda: lines_of(ran))
    killed.kill()

    # When another one comes
    await succeeded(processes.worker("--exit-when-empty"))

    # Then
    lost, second = of_kind(otlp, Span.SPAN_KIND_CONSUMER)
    assert lost.trace_id == second.trace_id == of_kind(otlp, Span.SPAN_KIND_PRODUCER)[0].trace_id
    told = attributes_of(lost.attributes)
    assert (told["jobq.worker"], told["jobq.attempt"], told["jobq.reason"]) == (lines_of(ran)[0], 1, "lost")
    assert lost.status.code == Status.STATUS_CODE_ERROR
    assert attributes_of(second.attributes)["jobq.tries.lost"] == 1
    ends = {end["jobq.reason"]: count for end, count in otlp.points("jobq.attempts")}
    assert ends == {"lost": 1, "ok": 1}


async def test_application_insights_gets_the_same(application_insights: Receiver, processes: Processes) -> None:
    # When
    await succeeded(processes.jobq("-v", "push", "-c", SECOND_TRY, "--batch", "b", *ONCE_MORE))
    await succeeded(processes.worker("--exit-when-empty"))

    # Then
    envelopes = application_insights.envelopes()
    assert {envelope["iKey"] for envelope in envelopes} == {KEY}
    spans = [envelope for envelope in envelopes if envelope["data"]["baseType"] != "MetricData"]
    assert {envelope["tags"]["ai.operation.id"] for envelope in spans} == {spans[0]["tags"]["ai.operation.id"]}
    ends = [
        (span["data"]["baseData"]["success"], span["data"]["baseData"]["properties"]["jobq.reason"])
        for span in spans
        if span["data"]["baseType"] == "RequestData"
    ]
    assert sorted(ends) == [(False, "exit"), (True, "ok")]
    points = [envelope["data"]["baseData"] for envelope in envelopes if envelope not in spans]
    names = {metric["name"] for point in points for metric in point["metrics"]}
    assert names >= {"jobq.pushed", "jobq.attempts", "jobq.attempt.duration", "jobq.wait.duration", "jobq.slots"}
    assert KEY not in processes.said(0) + processes.said(1)
