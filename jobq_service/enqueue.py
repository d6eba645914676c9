"""`/api/enqueue`: pushes. What is answered as queued is durable."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from jobq.errors import BadInput
from jobq.model.job import PushStatus
from jobq_service.answers import answer
from jobq_service.bodies import JSON, NDJSON, media_type, read_text
from jobq_service.openapi import Responses, body, problems
from jobq_service.realms import Api
from jobq_service.schemas import NewJob, Push, Pushed
from jobq_service.submissions import from_json, from_ndjson

router = APIRouter(prefix="/api/enqueue", tags=["enqueue"])

_SOME: Responses = {207: {"model": Pushed, "description": "Some were refused: see each result"}}

_Text = Annotated[str | None, Query(description="as in the JSON body, for NDJSON")]


@router.post(
    "/{realm}/jobs",
    summary="Push jobs",
    response_model=Pushed,
    responses=_SOME | problems(400, 413, 415),
    openapi_extra=body({JSON: Push, NDJSON: NewJob}),
)
async def push(
    api: Api,
    request: Request,
    batch: _Text = None,
    if_exists: _Text = None,
    chunk: _Text = None,
    token: _Text = None,
) -> Response:
    text = await read_text(request)
    if not text.strip():
        raise BadInput("the body is empty (on Azure Functions one sent without Content-Length is lost: send it whole)")
    read = from_ndjson if media_type(request, JSON, NDJSON) == NDJSON else from_json
    query = {"batch": batch, "if_exists": if_exists, "chunk": chunk, "token": token}
    asked = await asyncio.to_thread(read, text, query)
    options = asked.options
    results = await api.push(
        asked.jobs, batch=options.batch, if_exists=options.if_exists, chunk=options.chunk, token=options.token
    )
    is_refused = any(result["status"] == PushStatus.REFUSED for result in results)
    return answer({"batch": options.batch, "results": results}, 207 if is_refused else 200)
