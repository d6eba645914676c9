"""`/api/enqueue`: pushes, and the files that go with them. What is answered as queued is durable."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from jobq.errors import BadInput
from jobq.model.job import PushStatus
from jobq.model.names import content_name
from jobq_service.answers import answer
from jobq_service.asked import AskedFiles, NewJob, Push
from jobq_service.bodies import BYTES, JSON, NDJSON, media_type, read_body, read_model, read_text
from jobq_service.openapi import BINARY, Responses, body, problems
from jobq_service.realms import Api
from jobq_service.schemas import MissingFiles, Pushed, StoredFile
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


@router.post(
    "/{realm}/files",
    summary="Which files are not stored yet",
    response_model=MissingFiles,
    responses=problems(400, 413, 415),
    openapi_extra=body({JSON: AskedFiles}),
)
async def missing_files(api: Api, request: Request) -> Response:
    asked = await read_model(request, AskedFiles)
    return answer({"missing": await api.missing_files(asked.names)})


@router.put(
    "/{realm}/files/{name}",
    summary="Store a piece of a file, or a manifest",
    response_model=StoredFile,
    responses=problems(400, 413, 415),
    openapi_extra=BINARY,
)
async def put_file(api: Api, request: Request, name: str) -> Response:
    content_name(name)
    media_type(request, BYTES)
    data = await read_body(request)
    await api.put_files({name: lambda: data})
    return answer({"name": name, "size": len(data)})
