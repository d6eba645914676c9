"""`/api/status/{realm}/scale`: how many workers it takes, for what starts and ends them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from jobq.model.names import lane_name
from jobq_service import schemas
from jobq_service.answers import answer
from jobq_service.openapi import problems
from jobq_service.realms import Api

MOST = 1_000_000

router = APIRouter(prefix="/api/status", tags=["status"], responses=problems(400))


@router.get("/{realm}/scale", summary="How many workers it takes", response_model=schemas.Scale)
async def scale(
    api: Api,
    jobs_per_worker: Annotated[int, Query(ge=1, le=MOST, description="that a worker runs at the same time")] = 1,
    least: Annotated[int, Query(alias="min", ge=0, le=MOST)] = 0,
    most: Annotated[int | None, Query(alias="max", ge=0, le=MOST, description="as many as it takes without")] = None,
    max_lane: Annotated[str, Query(description="the last lane that they take from; all without")] = "",
) -> Response:
    last = lane_name(max_lane) if max_lane else None
    return answer(await api.scale(jobs_per_worker=jobs_per_worker, least=least, most=most, max_lane=last))
