"""`/api/manage`: cancel, retry, preempt, remove, one job or many, and sweep."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobq.core import operate
from jobq.core.api import Filter as Where
from jobq.core.api import Selection
from jobq.core.documents import job_document
from jobq.errors import BadInput
from jobq.model.names import batch_name, job_id, lane_name, tag_name
from jobq_service import schemas
from jobq_service.answers import answer
from jobq_service.asked import Cancel, CancelMany, Filter, Pause, Sweep
from jobq_service.bodies import JSON, read_model
from jobq_service.openapi import body, problems
from jobq_service.realms import Api, JobId

router = APIRouter(prefix="/api/manage", tags=["manage"], responses=problems(400))

_BODY = problems(413, 415)


@router.post(
    "/{realm}/jobs/{job}/cancel",
    summary="Cancel a job; one that runs is asked to end",
    response_model=schemas.Job,
    responses=problems(404, 409) | _BODY,
    openapi_extra=body({JSON: Cancel}, required=False),
)
async def cancel(api: Api, job_id: JobId, request: Request) -> Response:
    asked = await read_model(request, Cancel)
    return answer(job_document(await operate.cancel(api.realm, job_id, message=asked.message)))


@router.post(
    "/{realm}/jobs/{job}/retry",
    summary="Queue a failed or cancelled job again",
    response_model=schemas.Job,
    responses=problems(404, 409),
)
async def retry(api: Api, job_id: JobId) -> Response:
    return answer(job_document(await operate.retry(api.realm, job_id)))


@router.post(
    "/{realm}/jobs/{job}/preempt",
    summary="Stop a running job and put it back, as if its machine went",
    response_model=schemas.Job,
    responses=problems(404, 409),
)
async def preempt(api: Api, job_id: JobId) -> Response:
    return answer(job_document(await operate.preempt(api.realm, job_id)))


@router.post(
    "/{realm}/workers/{worker}/preempt",
    summary="Have a worker do what it would do if its machine were to go",
    response_model=schemas.AskedWorker,
    responses=problems(404),
)
async def preempt_worker(api: Api, worker: str) -> Response:
    return answer(await api.preempt_worker(worker))


@router.post(
    "/{realm}/workers/{worker}/drain",
    summary="Have a worker finish what it runs, take nothing new, and end",
    response_model=schemas.AskedWorker,
    responses=problems(404),
)
async def drain_worker(api: Api, worker: str) -> Response:
    return answer(await api.drain_worker(worker))


@router.delete(
    "/{realm}/jobs/{job}",
    summary="Remove a job; one that runs is asked to end, and goes then",
    description="Answers the job as it was, or as it is while its worker has been asked (`cancel_requested`).",
    response_model=schemas.Job,
    responses=problems(404, 409),
)
async def remove(api: Api, job_id: JobId) -> Response:
    before = await api.realm.read(job_id)
    return answer(job_document(await operate.remove(api.realm, job_id) or before))


@router.post(
    "/{realm}/cancel",
    summary="Cancel many jobs",
    response_model=schemas.Changed,
    responses=_BODY,
    openapi_extra=body({JSON: CancelMany}),
)
async def cancel_many(api: Api, request: Request) -> Response:
    asked = await read_model(request, CancelMany)
    return answer(await api.cancel(_selection(asked), message=asked.message))


@router.post(
    "/{realm}/retry",
    summary="Queue many jobs again",
    response_model=schemas.Changed,
    responses=_BODY,
    openapi_extra=body({JSON: Filter}),
)
async def retry_many(api: Api, request: Request) -> Response:
    return answer(await api.retry(_selection(await read_model(request, Filter))))


@router.post(
    "/{realm}/preempt",
    summary="Stop many running jobs and put them back",
    response_model=schemas.Changed,
    responses=_BODY,
    openapi_extra=body({JSON: Filter}),
)
async def preempt_many(api: Api, request: Request) -> Response:
    return answer(await api.preempt(_selection(await read_model(request, Filter))))


@router.post(
    "/{realm}/remove",
    summary="Remove many jobs",
    response_model=schemas.Changed,
    responses=_BODY,
    openapi_extra=body({JSON: Filter}),
)
async def remove_many(api: Api, request: Request) -> Response:
    return answer(await api.remove(_selection(await read_model(request, Filter))))


@router.delete("/{realm}/lanes/{lane}/jobs", summary="Remove what is queued in a lane", response_model=schemas.Changed)
async def clear(api: Api, lane: str) -> Response:
    return answer(await api.clear(lane_name(lane)))


@router.post(
    "/{realm}/pause",
    summary="Have workers take nothing new from the realm, or from a lane of it",
    response_model=schemas.Paused,
    responses=problems(404) | _BODY,
    openapi_extra=body({JSON: Pause}, required=False),
)
async def pause(api: Api, request: Request) -> Response:
    return answer(await api.pause(_lane(await read_model(request, Pause))))


@router.post(
    "/{realm}/resume",
    summary="Have workers take jobs again",
    response_model=schemas.Paused,
    responses=problems(404, 409) | _BODY,
    openapi_extra=body({JSON: Pause}, required=False),
)
async def resume(api: Api, request: Request) -> Response:
    return answer(await api.resume(_lane(await read_model(request, Pause))))


@router.post(
    "/{realm}/sweep",
    summary="Put the realm in order",
    response_model=schemas.Swept,
    responses=_BODY,
    openapi_extra=body({JSON: Sweep}, required=False),
)
async def sweep(api: Api, request: Request) -> Response:
    asked = await read_model(request, Sweep)
    return answer(await api.sweep(repair=asked.repair))


def _lane(asked: Pause) -> str:
    return "" if asked.lane is None else lane_name(str(asked.lane))


def _selection(asked: Filter) -> Selection:
    """Raises BadInput for an empty one: a slip must not empty a realm."""
    where = Where(
        tag=tag_name(asked.tag) if asked.tag else "",
        batch=batch_name(asked.batch) if asked.batch else "",
        lane=lane_name(asked.lane) if asked.lane not in (None, "") else "",
        state=asked.state,
    )
    if asked.ids and where != Where():
        raise BadInput("say which jobs either by 'ids' or by tag, batch, lane and state, not by both")
    if asked.ids:
        return Selection(ids=tuple(map(job_id, asked.ids)))
    if where == Where():
        raise BadInput("say which jobs: 'ids', or at least one of 'tag', 'batch', 'lane', 'state'")
    return Selection(where=where)
