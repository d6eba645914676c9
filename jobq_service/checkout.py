"""`/api/checkout`: jobs leased to whoever runs them elsewhere, with their environment, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from jobq.core.api import check_out
from jobq.core.realm import Realm
from jobq.errors import BadInput, NotFound
from jobq.model.names import lane_name
from jobq.model.wire import duration_from_json
from jobq_service import schemas
from jobq_service.answers import HEADERS, answer
from jobq_service.asked import Ack, CheckOut, CheckOutAcross, Extend, Nack
from jobq_service.bodies import BYTES, JSON, read_model
from jobq_service.openapi import Responses, body, problems
from jobq_service.realms import Api, JobId, realms_of

router = APIRouter(prefix="/api/checkout", tags=["checkout"], responses=problems(400))

_BODY = problems(413, 415)
_FILE: Responses = {
    200: {
        "description": "The bytes, as they were stored",
        "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    summary="Lease jobs of several realms, from the lowest lane over all of them",
    response_model=schemas.CheckedOut,
    responses=problems(404) | _BODY,
    openapi_extra=body({JSON: CheckOutAcross}, required=False),
)
async def check_out_across(request: Request) -> Response:
    asked = await read_model(request, CheckOutAcross)
    realms = realms_of(request)
    if asked.realms is None:
        return await _checked_out(await realms.all(), asked)
    return await _checked_out([realms.realm(name) for name in dict.fromkeys(asked.realms)], asked)


@router.post(
    "/{realm}/jobs",
    summary="Lease jobs, from the lowest lane on",
    response_model=schemas.CheckedOut,
    responses=problems(404) | _BODY,
    openapi_extra=body({JSON: CheckOut}, required=False),
)
async def check_out_of_one(api: Api, request: Request) -> Response:
    return await _checked_out([api.realm], await read_model(request, CheckOut))


@router.post(
    "/{realm}/jobs/{job}/ack",
    summary="Say that a leased job has succeeded",
    response_model=schemas.Job,
    responses=problems(409) | _BODY,
    openapi_extra=body({JSON: Ack}),
)
async def ack(api: Api, job_id: JobId, request: Request) -> Response:
    asked = await read_model(request, Ack)
    return answer(await api.ack(job_id, asked.token, result=asked.result, message=asked.message))


@router.post(
    "/{realm}/jobs/{job}/nack",
    summary="Give a leased job back, or say that it has failed",
    response_model=schemas.Job,
    responses=problems(409) | _BODY,
    openapi_extra=body({JSON: Nack}),
)
async def nack(api: Api, job_id: JobId, request: Request) -> Response:
    asked = await read_model(request, Nack)
    done = await api.nack(
        job_id,
        asked.token,
        failed=asked.failed,
        exit_code=asked.exit_code,
        message=asked.message,
        delay=_duration("delay", asked.delay),
    )
    return answer(done)


@router.post(
    "/{realm}/jobs/{job}/extend",
    summary="Hold a leased job for longer",
    response_model=schemas.CheckedOutJob,
    responses=problems(409) | _BODY,
    openapi_extra=body({JSON: Extend}),
)
async def extend(api: Api, job_id: JobId, request: Request) -> Response:
    asked = await read_model(request, Extend)
    return answer(await api.extend(job_id, asked.token, lease=_duration("lease", asked.lease)))


@router.get(
    "/{realm}/files/{name}",
    summary="A piece of a file, or a manifest",
    response_class=Response,
    responses=_FILE | problems(404, 409),
)
async def get_file(api: Api, name: str) -> Response:
    try:
        data = await api.get_file(name)
    except BadInput as error:
        if await api.missing_files([name]):
            raise NotFound(str(error)) from error
        raise
    return Response(data, headers=HEADERS, media_type=BYTES)


async def _checked_out(realms: Sequence[Realm], asked: CheckOut) -> Response:
    max_lane = None if asked.max_lane is None else lane_name(asked.max_lane)
    lease = _duration("lease", asked.lease)
    return answer(await check_out(realms, count=asked.count, lease=lease, max_lane=max_lane))


def _duration(name: str, value: float | str | None) -> timedelta | None:
    return None if value is None else duration_from_json(name, value)
