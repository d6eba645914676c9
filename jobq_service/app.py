"""The ASGI app of the control plane, the same under Azure Functions and under uvicorn."""

from __future__ import annotations

import logging

from fastapi import FastAPI

from jobq_service import checkout, dashboard, enqueue, health, manage, metrics, openapi, scale, status, summary
from jobq_service.conditional import Conditional
from jobq_service.problems import Failsafe, add_handlers
from jobq_service.rate_limit import RateLimit, RateLimited
from jobq_service.realms import Realms
from jobq_service.request_times import RequestTimes, Timed
from jobq_service.settings import DEFAULT_BODY_BYTES, DEFAULT_RATE_LIMIT


def create_app(
    realms: Realms, *, max_body_bytes: int = DEFAULT_BODY_BYTES, rate_limit: RateLimit | None = None
) -> FastAPI:
    """Answers under `/api` for all realms of a stack, and with the dashboard. The caller closes `realms`.

    It has no lifespan: Functions does not run one. It checks no keys: the host does, or `jobq_service.guard`.
    """
    logging.getLogger("azure").setLevel(logging.WARNING)  # a line for each request to storage, otherwise
    logging.getLogger("azure.servicebus").setLevel(logging.CRITICAL)  # tracebacks of what becomes an error of ours
    app = FastAPI(
        title="jobq",
        openapi_url=openapi.URL,
        docs_url=None,
        redoc_url=None,
        # A redirect is built from the Host header, and is a second call that Functions bills.
        redirect_slashes=False,
    )
    app.state.realms = realms
    app.state.max_body_bytes = max_body_bytes
    app.state.request_times = RequestTimes()
    # `status/metrics` before `status/{realm}`: the first route that fits is taken.
    for family in (health, enqueue, metrics, scale, status, summary, manage, checkout, dashboard):
        app.include_router(family.router)
    openapi.describe(app)
    add_handlers(app)
    app.add_middleware(Conditional)
    app.add_middleware(Failsafe)
    app.add_middleware(RateLimited, limit=rate_limit or RateLimit(DEFAULT_RATE_LIMIT))
    app.add_middleware(Timed, times=app.state.request_times)
    return app
