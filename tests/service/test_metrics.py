"""What Prometheus and scalers are told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from jobq.adapters.local import MemoryStack
from jobq.core.ports import Backlog, Row, TicketQueue
from jobq.errors import Unreachable
from jobq_service import metrics
from jobq_service.app import create_app
from jobq_service.realms import Realms
from tests.service.control_plane import ControlPlane

DURATION = "jobq_request_duration_seconds"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(service: ControlPlane) -> Samples:
    answer = await service.get("status/metrics")
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


async def test_jobs_are_told_by_realm_lane_and_state(service: ControlPlane) -> None:
    await service.push(*({"id": name, "cmd": "true"} for name in "abc"), {"cmd": "true", "lanes": [2, "night"]})
    await service.fail("a")
    await service.run("b")

    samples = await scrape(service)

    whole = {s: value(samples, "jobq_realm_jobs", realm="demo", state=s) for s in ("queued", "running", "failed")}
    lane = {s: value(samples, "jobq_jobs", realm="demo", lane="0", state=s) for s in ("queued", "running", "failed")}
    assert whole == {"queued": 2, "running": 1, "failed": 1}
    assert lane == {"queued": 1, "running": 1, "failed": 1}
    assert value(samples, "jobq_jobs", realm="demo", lane="night", state="queued") == 1
    assert value(samples, "jobq_workers", realm="demo") == 1
    assert value(samples, "jobq_realm_up", realm="demo") == 1


async def test_tags_count_while_jobs_of_theirs_remain_whatever_they_are_called(service: ControlPlane) -> None:
    hostile = ['"} 1', "a\\b", "ünder/ground %2F", 'x",realm="y']
    await service.push({"id": "a", "cmd": "true", "tags": hostile}, {"id": "b", "cmd": "true", "tags": ["ended"]})
    await service.fail("b")

    samples = await scrape(service)

    assert value(samples, "jobq_tags", realm="demo") == len(hostile)
    assert value(samples, "restq_queued_tags", realm="demo") == len(hostile)
    assert value(samples, "restq_queued_jobs", realm="demo", queue="0") == 1


async def test_job_that_waits_is_told_by_lane_and_one_that_runs_is_not(service: ControlPlane) -> None:
    await service.push({"id": "a", "cmd": "true"}, {"id": "b", "cmd": "true", "lane": 7})
    await service.run("a")

    samples = await scrape(service)

    waiting = value(samples, "jobq_oldest_waiting_seconds", realm="demo", lane="7")
    assert waiting is not None
    assert 0 < waiting < 60
    assert value(samples, "jobq_oldest_waiting_seconds", realm="demo", lane="0") == 0


async def test_hostile_names_come_out_as_they_are(service: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    """No realm is called so, and no lane, but what a label says is text."""
    hostile = 'a"b\\c\nd{},x="1'

    async def backlogs(realms: Realms) -> dict[str, None]:
        return {hostile: None}

    monkeypatch.setattr(metrics, "_backlogs", backlogs)

    assert value(await scrape(service), "jobq_realm_up", realm=hostile) == 0


async def test_no_realms_are_told_as_none(service: ControlPlane) -> None:
    samples = await scrape(service)

    assert not [name for name, _ in samples if not name.startswith(DURATION)]


async def test_prometheus_may_ask_for_open_metrics(service: ControlPlane) -> None:
    await service.push({"cmd": "true"})
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"

    answer = await service.ask("GET", "status/metrics", headers={"accept": accept})

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert "jobq_realm_up" in {family.name for family in openmetrics_families(answer.text)}


async def test_text_has_the_content_type_of_the_library(service: ControlPlane) -> None:
    answer = await service.get("status/metrics")

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_requests_are_timed_by_route_and_never_by_what_they_ask_for(service: ControlPlane) -> None:
    await service.push({"id": "my secret job", "cmd": "true", "tags": ["my secret tag"]})
    await service.get("status/demo/jobs/my!20secret!20job")
    await service.get("status/demo/jobs/my!20secret!20job")
    await service.get("status/demo/jobs/another-secret")
    await service.get("status/demo/tags/my!20secret!20tag")
    await service.get("secret/place")
    await service.ask("SECRET", "status/demo/total")

    answer = await service.get("status/metrics")
    samples = await scrape(service)

    job = {"function": "status", "route": "/api/status/{realm}/jobs/{job}", "method": "GET"}
    other = {"function": "other", "route": "other", "method": "GET"}
    assert value(samples, f"{DURATION}_count", **job, status="2xx") == 2
    assert value(samples, f"{DURATION}_count", **job, status="4xx") == 1
    assert value(samples, f"{DURATION}_bucket", **job, status="2xx", le="+Inf") == 2
    assert value(samples, f"{DURATION}_count", **other, status="4xx") == 1
    assert "secret" not in answer.text.lower()


async def test_failed_request_is_timed_as_one(service: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq_service.status.answer", lambda document: 1 / 0)

    await service.get("status")
    samples = await scrape(service)

    asked = {"function": "status", "route": "/api/status", "method": "GET"}
    assert value(samples, f"{DURATION}_count", **asked, status="5xx") == 1


class Troubled(MemoryStack):
    """A stack whose table does not answer for realm `bad`, and whose queue of realm `slow` never does."""

    def __init__(self) -> None:
        super().__init__()
        scan = self.table.scan
        self.is_in_trouble = False

        async def troubled(partition: str, prefix: str, **more: Any) -> list[Row]:
            if self.is_in_trouble and partition.startswith("bad~"):
                raise Unreachable("the table did not answer")
            return await scan(partition, prefix, **more)

        self.table.scan = troubled  # type: ignore[method-assign]

    def queue(self, name: str) -> TicketQueue:
        queue = super().queue(name)
        if self.is_in_trouble and name == "slow":
            queue.look = self._never  # type: ignore[method-assign]
        return queue

    async def _never(self, limit: int) -> Backlog:
        await asyncio.Event().wait()
        raise AssertionError


async def test_realms_in_trouble_are_down_and_do_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given
    monkeypatch.setattr(metrics, "PATIENCE_SECONDS", 0.2)
    stack = Troubled()
    realms = Realms(lambda: stack)
    service = ControlPlane(create_app(realms), realms)
    async with service.http:
        for realm in ("bad", "fine", "slow"):
            await service.post(f"enqueue/{realm}/jobs", {"batch": "b1", "jobs": [{"cmd": "true"}]})
        stack.is_in_trouble = True

        # when
        with caplog.at_level(logging.WARNING, "jobq_service.metrics"):
            samples = await scrape(service)
        refused = await service.get("status/bad/scale")

    # then
    up = {realm: value(samples, "jobq_realm_up", realm=realm) for realm in ("bad", "fine", "slow")}
    assert up == {"bad": 0, "fine": 1, "slow": 0}
    assert value(samples, "jobq_realm_jobs", realm="fine", state="queued") == 1
    assert value(samples, "jobq_realm_jobs", realm="bad", state="queued") is None
    assert "realm bad" in caplog.text
    assert "realm slow" in caplog.text
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:jobq:unreachable")
    await realms.close()
