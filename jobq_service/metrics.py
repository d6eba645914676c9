"""`/api/status/metrics`: what is in all realms, as Prometheus reads it, and how long requests to this process took."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from itertools import chain

from fastapi import APIRouter, Request
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from jobq.core.backlog import RealmBacklog, realm_backlog
from jobq.core.together import together
from jobq.errors import JobqError
from jobq.model.counts import Tally
from jobq_service.answers import HEADERS
from jobq_service.openapi import Responses
from jobq_service.realms import Realms, realms_of
from jobq_service.request_times import RequestTimes

logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Realms that are read side by side."""
PATIENCE_SECONDS = 8.0
"""Prometheus gives a scrape 10 s unless it is told otherwise. A realm that is not read by then counts as down."""

router = APIRouter(prefix="/api/status", tags=["status"])

_TEXT = {"schema": {"type": "string"}}
_METRICS: Responses = {
    200: {"description": "As it was asked for", "content": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT}}
}


@router.get("/metrics", summary="All realms, for Prometheus", response_class=Response, responses=_METRICS)
async def metrics(request: Request) -> Response:
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    backlogs = await _backlogs(realms_of(request))
    return Response(encode(_Scrape(backlogs, request.app.state.request_times)), headers=HEADERS, media_type=media_type)


async def _backlogs(realms: Realms) -> dict[str, RealmBacklog | None]:
    """By realm; None for one that could not be read. Raises what lists no realms."""
    names, gate = await realms.names(), asyncio.Semaphore(AT_ONCE)
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS

    async def read(name: str) -> RealmBacklog | None:
        try:
            async with asyncio.timeout_at(deadline), gate:
                return await realm_backlog(realms.realm(name))
        except (JobqError, TimeoutError) as error:
            logger.warning("left realm %s out of the metrics: %s", name, error or f"no answer in {PATIENCE_SECONDS} s")
            return None

    return dict(zip(names, await together(map(read, names)), strict=True))


class _Scrape:
    """What one answer says, in the order in which it says it."""

    def __init__(self, backlogs: Mapping[str, RealmBacklog | None], times: RequestTimes) -> None:
        self._backlogs = backlogs
        self._times = times

    def collect(self) -> Iterator[Metric]:
        gauges = _Gauges()
        for realm, backlog in self._backlogs.items():
            gauges.up.add_metric([realm], backlog is not None)
            if backlog is not None:
                gauges.add(realm, backlog)
        return chain(vars(gauges).values(), self._times.collect())


class _Gauges:
    def __init__(self) -> None:
        gauge = GaugeMetricFamily
        self.up = gauge("jobq_realm_up", "Whether the realm could be read.", labels=["realm"])
        self.realm_jobs = gauge("jobq_realm_jobs", "Jobs of the realm, by state.", labels=["realm", "state"])
        self.jobs = gauge("jobq_jobs", "Jobs of a lane, by state.", labels=["realm", "lane", "state"])
        self.tags = gauge("jobq_tags", "Tags with jobs that have not ended.", labels=["realm"])
        self.oldest = gauge(
            "jobq_oldest_waiting_seconds",
            "How long the job has waited that is next in line; 0 where none is seen to wait.",
            labels=["realm", "lane"],
        )
        self.workers = gauge("jobq_workers", "Live workers.", labels=["realm"])
        self.restq_jobs = gauge(
            "restq_queued_jobs", "As restq has it: jobs of a lane that have not ended.", labels=["realm", "queue"]
        )
        self.restq_tags = gauge("restq_queued_tags", "As restq has it: the same as jobq_tags.", labels=["realm"])

    def add(self, realm: str, backlog: RealmBacklog) -> None:
        status = backlog.status
        tags = sum(tally.counts.remaining > 0 for tally in status.tags.values())
        self.tags.add_metric([realm], tags)
        self.restq_tags.add_metric([realm], tags)
        self.workers.add_metric([realm], status.workers)
        for state, count in _by_state(status.realm):
            self.realm_jobs.add_metric([realm, state], count)
        for lane, tally in status.lanes.items():
            for state, count in _by_state(tally):
                self.jobs.add_metric([realm, lane, state], count)
            oldest = backlog.oldest.get(lane)
            self.oldest.add_metric([realm, lane], oldest.total_seconds() if oldest else 0)
            self.restq_jobs.add_metric([realm, lane], max(0, tally.counts.remaining))


def _by_state(tally: Tally) -> Iterator[tuple[str, int]]:
    return ((state, count) for state, count in tally.as_json().items() if state != "total")
