"""How long requests take, by what was asked: never by whom or for what, so ids and tags are nowhere in it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import Histogram
from prometheus_client.core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER = "other"
"""In place of a route or a method that there is not: callers can make up any number of them."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestTimes:
    """Of one process, since it was started."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "jobq_request_duration_seconds",
            "From the first byte of a request to the last of its answer, in this process.",
            ["function", "route", "method", "status"],
            buckets=BUCKETS,
            registry=None,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        template = str(getattr(scope.get("route"), "path", ""))
        function = template.removeprefix("/api").split("/")[1] if template else OTHER
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        self._seconds.labels(function, template or OTHER, method, f"{status // 100}xx").observe(seconds)

    def collect(self) -> Iterable[Metric]:
        return self._seconds.collect()


class Timed:
    """An app whose requests are timed. The route is known once the app has answered."""

    def __init__(self, app: ASGIApp, times: RequestTimes) -> None:
        self.app = app
        self.times = times

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.monotonic(), 500  # where nothing is answered at all

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            self.times.observe(scope, status, time.monotonic() - began)
