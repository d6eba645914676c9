"""Every error as `application/problem+json` (RFC 9457): what happened, why, and what to do, and nothing secret."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobq.errors import (
    BadInput,
    Conflict,
    IllegalTransition,
    JobqError,
    LeaseLost,
    NotAllowed,
    NotFound,
    TooLarge,
    Unreachable,
)
from jobq.model.wire import dumps
from jobq_service.answers import HEADERS

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_STATUS: dict[type[Exception], int] = {
    BadInput: 400,
    TooLarge: 413,
    NotAllowed: 403,
    NotFound: 404,
    IllegalTransition: 409,
    Conflict: 409,
    LeaseLost: 409,
    Unreachable: 503,
    JobqError: 500,
}


class BadJob(BadInput):
    """One job of a push is wrong: `index` counts jobs from 0, `line` lines from 1."""

    def __init__(self, message: str, index: int, line: int | None = None) -> None:
        super().__init__(message)
        self.members = {"index": index} | ({"line": line} if line is not None else {})


def problem(
    status: int, detail: str, *, kind: str = "about:blank", headers: Mapping[str, str] | None = None, **more: object
) -> Response:
    """`type`, `title`, `status`, `detail`, and whatever else there is to say."""
    document = {"type": kind, "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(dumps(document), status, {**HEADERS, **(headers or {})}, MEDIA_TYPE)


def unexpected(request_id: str) -> Response:
    """The answer when the fault is ours. The log has the rest, under the id."""
    detail = "the control plane made an error; its log says more under this request's id"
    return problem(500, detail, kind="urn:jobq:unexpected", request=request_id)


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(JobqError, _on_jobq_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)


class Failsafe:
    """The one place of the app that catches everything: Starlette would answer and raise again, and Functions turns
    what is raised into an empty answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_started = False

        async def watched(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception:
            request_id = request_id_of(scope)
            logger.exception("request %s failed", request_id)
            if is_started:
                raise
            await unexpected(request_id)(scope, receive, send)


def request_id_of(scope: Scope) -> str:
    """The invocation's id on Functions, elsewhere a fresh one."""
    return str(scope.get("azure_functions.invocation_id") or uuid.uuid4())


async def _on_jobq_error(request: Request, error: Exception) -> Response:
    known = next(cls for cls in type(error).__mro__ if cls in _STATUS)
    if known is JobqError:
        logger.error("request %s failed: %s", request_id_of(request.scope), error)
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if isinstance(error, Unreachable) else {}
    more = error.members if isinstance(error, BadJob) else {}
    return problem(_STATUS[known], str(error), kind=_urn(error), headers=headers, **more)


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(400, explain(error.errors()), kind="urn:jobq:bad-input")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail, headers = error.detail, error.headers
    if error.status_code == 404:
        detail = "there is nothing at this address; the routes are in /api/status/openapi.json"
    if error.status_code == 405:
        detail = f"{request.method} is not for this address; see Allow"
        headers = {"allow": allowed} if (allowed := _allowed(request)) else error.headers
    return problem(error.status_code, detail, headers=headers)


def _allowed(request: Request) -> str:
    """The methods of all routes that the path fits; Starlette names those of the first. None of them: no route of the
    OpenAPI document's, and so Starlette is right."""
    path: str = request.scope["path"]
    fit = (verbs for route, verbs in request.app.openapi()["paths"].items() if _pattern(route).fullmatch(path))
    return ", ".join(sorted({verb.upper() for verbs in fit for verb in verbs}))


def _pattern(route: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{\w+}", "[^/]+", route))


async def _on_disconnect(request: Request, error: Exception) -> Response:
    return problem(400, "the request ended in the middle of its body")  # nobody is left to read it


def explain(errors: object) -> str:
    """Where and what, from pydantic's list of errors; never the value itself."""
    assert isinstance(errors, (list, tuple))
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}" for error in errors[:5])


def _urn(error: Exception) -> str:
    name = "bad-job" if isinstance(error, BadJob) else type(error).__name__
    return "urn:jobq:" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
