"""`/api/status/{realm}/summary` and `…/history`: what a page shows that polls, at a cost that does not grow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from jobq.model.series import Range
from jobq_service import schemas
from jobq_service.answers import answer
from jobq_service.openapi import problems
from jobq_service.realms import Api

router = APIRouter(prefix="/api/status", tags=["status"], responses=problems(400))


@router.get("/{realm}/summary", summary="A realm as a page shows it that polls", response_model=schemas.Summary)
async def summary(api: Api) -> Response:
    return answer(await api.summary())


@router.get("/{realm}/history", summary="What came over time, and how it stood", response_model=schemas.History)
async def history(
    api: Api,
    back: Annotated[Range, Query(alias="range", description="how far back from now")] = Range.HOUR,
) -> Response:
    return answer(await api.history(back))
