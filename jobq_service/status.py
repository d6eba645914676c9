"""`/api/status`: how far realms, tags, batches and jobs are. Nothing here changes anything."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from jobq.core.listing import MAX_PAGE
from jobq.model.durations import parse_moment, utc_now
from jobq.model.names import batch_name, tag_name, unescape
from jobq_service import schemas
from jobq_service.answers import HEADERS, answer
from jobq_service.filters import After, Where
from jobq_service.openapi import Responses, problems
from jobq_service.realms import Api, JobId, realms_of

router = APIRouter(prefix="/api/status", tags=["status"], responses=problems(400))


@router.get("", summary="List the realms", response_model=schemas.Realms)
async def realms(request: Request) -> Response:
    return answer(await realms_of(request).document())


@router.get("/{realm}", summary="A realm, by lane, tag and batch", response_model=schemas.RealmStatus)
async def realm_status(api: Api) -> Response:
    return answer(await api.status())


@router.get("/{realm}/total", summary="A realm as a whole", response_model=schemas.RealmTotal)
async def total(api: Api) -> Response:
    return answer(await api.total())


@router.get(
    "/{realm}/settings", summary="What a realm is set to", response_model=schemas.Settings, responses=problems(404)
)
async def settings(api: Api) -> Response:
    return answer(await api.settings())


@router.get("/{realm}/tags/{tag}", summary="A tag", response_model=schemas.TagStatus, responses=problems(404))
async def tag_status(api: Api, tag: str) -> Response:
    return answer(await api.tag_status(tag_name(unescape(tag))))


@router.get("/{realm}/batches/{batch}", summary="A batch", response_model=schemas.BatchStatus, responses=problems(404))
async def batch_status(api: Api, batch: str) -> Response:
    return answer(await api.batch_status(batch_name(batch)))


@router.get(
    "/{realm}/jobs",
    summary="List jobs, by id",
    description="A page reads a bounded number of rows: with a `next` it may be short, even empty.",
    response_model=schemas.Jobs,
)
async def jobs(
    api: Api, where: Where, after: After = "", limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50
) -> Response:
    return answer(await api.jobs(where, after=after, limit=limit))


@router.get(
    "/{realm}/jobs/count",
    summary="Count jobs",
    description="Of a bounded number of rows: add up until `next` is null. A job with the id `count` is `!63ount`.",
    response_model=schemas.JobCount,
)
async def count(api: Api, where: Where, after: After = "") -> Response:
    return answer(await api.count(where, after=after))


@router.get("/{realm}/jobs/{job}", summary="A job", response_model=schemas.Job, responses=problems(404))
async def job(api: Api, job_id: JobId) -> Response:
    return answer(await api.job(job_id))


@router.get(
    "/{realm}/jobs/{job}/files",
    summary="What was shipped with a job",
    response_model=schemas.JobFiles,
    responses=problems(404),
)
async def job_files(api: Api, job_id: JobId) -> Response:
    return answer(await api.job_files(job_id))


Attempt = Annotated[int | None, Query(ge=1, le=1_000_000, description="the last one where it is not given")]
_LOG: Responses = {
    200: {"description": "The output, as it was written", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get(
    "/{realm}/jobs/{job}/log",
    summary="An attempt's output",
    response_class=Response,
    responses=_LOG | problems(404),
)
async def log(
    api: Api,
    job_id: JobId,
    attempt: Attempt = None,
    start: Annotated[int, Query(ge=0, le=2**53, description="the byte to begin with")] = 0,
    since: Annotated[str, Query(description="only what came since then; for a duration, or a time, in ISO 8601")] = "",
) -> Response:
    if since:
        start = max(
            start, (await api.log_start(job_id, since=parse_moment(since, utc_now()), attempt=attempt))["start"]
        )
    output = await api.log(job_id, attempt=attempt, start=start)
    return Response(output, headers=HEADERS, media_type="text/plain; charset=utf-8")


@router.get(
    "/{realm}/jobs/{job}/log/start",
    summary="Where in an attempt's output that begins which came since a time",
    response_model=schemas.LogStart,
    responses=problems(404),
)
async def log_start(api: Api, job_id: JobId, since: str, attempt: Attempt = None) -> Response:
    return answer(await api.log_start(job_id, since=parse_moment(since, utc_now()), attempt=attempt))


@router.get("/{realm}/workers", summary="Live workers", response_model=schemas.Workers)
async def workers(api: Api) -> Response:
    return answer(await api.workers())


@router.get("/{realm}/where", summary="Where a worker pulls from", response_model=schemas.Where)
async def where(api: Api) -> Response:
    return answer({"address": api.realm.address, "tables": api.realm.stack.tables})
