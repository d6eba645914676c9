"""`/api/health`: whether the control plane answers. It asks no key and touches no storage."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from jobq import __version__
from jobq_service.answers import answer
from jobq_service.schemas import Health

router = APIRouter(prefix="/api", tags=["health"])


@router.get("/health", summary="Whether it answers", response_model=Health)
async def health() -> Response:
    return answer({"status": "ok", "version": __version__})
