"""`/api/enqueue`: pushes, and the files that go with them. What is answered as queued is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from jobq.errors import BadInput, IllegalTransition
from jobq.model.job import IfExists, PushStatus
from jobq.model.names import ADDED, content_name
from jobq_service.across import push_across, push_jobs
from jobq_service.answers import answer, answer_each
from jobq_service.asked import AskedFiles, JobAsked, NewJob, NewJobOf, Push, PushAcross
from jobq_service.bodies import BYTES, JSON, NDJSON, media_type, read_body, read_model, read_text
from jobq_service.openapi import BINARY, Responses, body, problems
from jobq_service.realms import Api, JobId, realms_of
from jobq_service.schemas import MissingFiles, Pushed, PushedAcross, PushedJob, StoredFile
from jobq_service.submissions import Submission, added_job, from_json, from_ndjson

router = APIRouter(prefix="/api/enqueue", tags=["enqueue"])

_SOME: Responses = {207: {"model": Pushed, "description": "Some were refused: see each result"}}
_SOME_ACROSS: Responses = {207: {**_SOME[207], "model": PushedAcross}}

_Text = Annotated[str | None, Query(description="as in the JSON body, for NDJSON")]


async def _options(
    batch: _Text = None, if_exists: _Text = None, chunk: _Text = None, token: _Text = None
) -> dict[str, str | None]:
    return {"batch": batch, "if_exists": if_exists, "chunk": chunk, "token": token}


PushQuery = Annotated[dict[str, str | None], Depends(_options)]
"""A push's options in the query."""


@router.post(
    "",
    summary="Push jobs to several realms",
    response_model=PushedAcross,
    responses=_SOME_ACROSS | problems(400, 413, 415),
    openapi_extra=body({JSON: PushAcross, NDJSON: NewJobOf}),
)
async def push_to_several(request: Request, query: PushQuery) -> Response:
    asked = await _submission(request, query, across=True)
    return answer_each(await push_across(realms_of(request), asked), batch=asked.options.batch)


@router.post(
    "/{realm}/jobs",
    summary="Push jobs",
    response_model=Pushed,
    responses=_SOME | problems(400, 404, 409, 413, 415),
    openapi_extra=body({JSON: Push, NDJSON: NewJob}),
)
async def push(api: Api, request: Request, query: PushQuery) -> Response:
    asked = await _submission(request, query)
    return answer_each(await push_jobs(api, asked.jobs, asked.options), batch=asked.options.batch)


@router.put(
    "/{realm}/jobs/{job}",
    summary="Add a job, or tags and lanes to the one that is there",
    description="Refused for a job that is there with other data. One that has ended is queued again.",
    response_model=PushedJob,
    responses=problems(400, 404, 409, 413, 415),
    openapi_extra=body({JSON: JobAsked}),
)
async def add(api: Api, job_id: JobId, request: Request) -> Response:
    text = await _text_of(request)
    media_type(request, JSON)
    job = await asyncio.to_thread(added_job, text, job_id)
    (result,) = await api.push([job], batch=ADDED, if_exists=IfExists.ADD)
    if result["status"] == PushStatus.REFUSED:
        raise IllegalTransition(f"job {job.id} was not added: {result['error']}")
    return answer(result)


@router.post(
    "/{realm}/files",
    summary="Which files are not stored yet",
    response_model=MissingFiles,
    responses=problems(400, 409, 413, 415),
    openapi_extra=body({JSON: AskedFiles}, required=False),
)
async def missing_files(api: Api, request: Request) -> Response:
    asked = await read_model(request, AskedFiles)
    return answer({"missing": await api.missing_files(asked.names)})


@router.put(
    "/{realm}/files/{name}",
    summary="Store a piece of a file, or a manifest",
    response_model=StoredFile,
    responses=problems(400, 409, 413, 415),
    openapi_extra=BINARY,
)
async def put_file(api: Api, request: Request, name: str) -> Response:
    content_name(name)
    media_type(request, BYTES)
    data = await read_body(request)
    await api.put_files({name: lambda: data})
    return answer({"name": name, "size": len(data)})


async def _submission(request: Request, query: Mapping[str, Any], *, across: bool = False) -> Submission:
    text = await _text_of(request)
    read = from_ndjson if media_type(request, JSON, NDJSON) == NDJSON else from_json
    return await asyncio.to_thread(read, text, query, across=across)


async def _text_of(request: Request) -> str:
    text = await read_text(request)
    if not text.strip():
        raise BadInput("the body is empty (on Azure Functions one sent without Content-Length is lost: send it whole)")
    return text
