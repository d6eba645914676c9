"""`/api/manage`: cancel, retry, preempt, remove, move, one job or many; a realm's settings, its end, and sweep."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobq.core import operate
from jobq.core.api import Filter as Where
from jobq.core.api import Selection
from jobq.core.documents import job_document
from jobq.core.realm_settings import SettingsChange
from jobq.errors import BadInput
from jobq.model.names import job_id, lane_name, realm_name
from jobq.model.wire import duration_from_json
from jobq_service import schemas
from jobq_service.across import remove_across
from jobq_service.answers import answer, answer_each
from jobq_service.asked import Cancel, CancelMany, ChangeSettings, Filter, Move, Pause, RemoveAcross, Sweep
from jobq_service.bodies import JSON, read_model
from jobq_service.filters import After, filter_of
from jobq_service.openapi import Responses, body, problems
from jobq_service.realms import Api, JobId, realms_of

router = APIRouter(prefix="/api/manage", tags=["manage"], responses=problems(400))

_BODY = problems(413, 415)
_SOME: Responses = {207: {"model": schemas.RemovedAcross, "description": "Some were refused: see each result"}}


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


@router.post(
    "/remove",
    summary="Remove jobs of several realms",
    response_model=schemas.RemovedAcross,
    responses=_SOME | _BODY,
    openapi_extra=body({JSON: RemoveAcross}),
)
async def remove_of_several(request: Request) -> Response:
    asked = await read_model(request, RemoveAcross)
    entries = [(realm_name(job.realm), job_id(job.id)) for job in asked.jobs]
    return answer_each(await remove_across(realms_of(request), entries))


@router.post(
    "/{realm}/move",
    summary="Move queued jobs from one lane to another",
    description="What runs, or is checked out, stays where it is.",
    response_model=schemas.Changed,
    responses=_BODY,
    openapi_extra=body({JSON: Move}),
)
async def move(api: Api, request: Request) -> Response:
    asked = await read_model(request, Move)
    source, target = lane_name(asked.source), lane_name(asked.target)
    if source == target:
        raise BadInput(f"'from' and 'to' are both lane {source}; say where to move the jobs")
    return answer(await api.move(_selection(asked, is_bounded=True), source=source, target=target))


@router.delete("/{realm}/lanes/{lane}/jobs", summary="Remove what is queued in a lane", response_model=schemas.Changed)
async def clear(api: Api, lane: str, after: After = "") -> Response:
    return answer(await api.clear(lane_name(lane), after=after))


@router.post(
    "/{realm}/pause",
    summary="Have workers take nothing new from the realm, or from a lane of it",
    response_model=schemas.Paused,
    responses=problems(404, 409) | _BODY,
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


@router.patch(
    "/{realm}",
    summary="Set how long leases are",
    response_model=schemas.Settings,
    responses=problems(409) | _BODY,
    openapi_extra=body({JSON: ChangeSettings}),
)
async def change_settings(api: Api, request: Request) -> Response:
    asked = await read_model(request, ChangeSettings)
    if asked.lease is None and not asked.lane_leases:
        raise BadInput("say what to set: 'lease', 'lane_leases', or both")
    lease = None if asked.lease is None else duration_from_json("lease", asked.lease)
    lanes = {lane: duration_from_json(f"lane_leases.{lane}", value) for lane, value in asked.lane_leases.items()}
    change = SettingsChange(lease, {lane_name(lane): value for lane, value in lanes.items()})
    return answer(await api.change_settings(change))


@router.delete(
    "/{realm}",
    summary="Delete a realm",
    description="It is closed at once; what is in it is removed in the background.",
    status_code=202,
    response_model=schemas.Deleting,
    responses=problems(404),
)
async def delete_realm(api: Api) -> Response:
    return answer(await api.delete(), 202)


def _lane(asked: Pause) -> str:
    return "" if asked.lane is None else lane_name(str(asked.lane))


def _selection(asked: Filter, *, is_bounded: bool = False) -> Selection:
    """Raises BadInput for an empty one, unless it is bounded otherwise: a slip must not empty a realm."""
    where = filter_of(asked.tag, asked.batch, asked.lane, asked.state, asked.reason, asked.text, asked.error)
    if asked.ids and (asked.all or where != Where()):
        raise BadInput("say which jobs either by 'ids' or by tag, batch, lane, state and the like, not by both")
    if asked.ids and asked.after:
        raise BadInput("'after' goes with tag, batch, lane, state and the like, not with 'ids'")
    if asked.ids:
        return Selection(ids=tuple(map(job_id, asked.ids)))
    if where == Where() and not asked.all and not (is_bounded and asked.ids is None):
        names = "'tag', 'batch', 'lane', 'state', 'reason', 'text', 'error', 'all'"
        raise BadInput(f"say which jobs: 'ids', or at least one of {names}")
    return Selection(where=where, after=asked.after)
