"""`/api/checkout`: leases over HTTP, for workers that reach nothing else. Not there yet."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from jobq_service.openapi import problems
from jobq_service.problems import problem

METHODS = ["GET", "POST", "PUT", "DELETE"]

router = APIRouter(prefix="/api/checkout", tags=["checkout"])


@router.api_route("/{rest:path}", methods=METHODS, include_in_schema=False, responses=problems(501))
async def checkout() -> Response:
    return problem(
        501,
        "checkout over HTTP is not implemented yet: let a worker pull directly, `jobq worker`; "
        "/api/status/{realm}/where says from where",
        kind="urn:jobq:not-implemented",
    )
