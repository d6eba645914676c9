"""The OpenAPI document: bodies and errors as they are, not as FastAPI guesses them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from jobq import __version__
from jobq_service import asked, schemas
from jobq_service.bodies import BYTES, JSON
from jobq_service.conditional import is_below
from jobq_service.problems import MEDIA_TYPE

URL = "/api/status/openapi.json"

_REF = "#/components/schemas/{model}"
_ASKED = (
    asked.Push,
    asked.NewJob,
    asked.PushAcross,
    asked.NewJobOf,
    asked.JobAsked,
    asked.AskedFiles,
    asked.Cancel,
    asked.CancelMany,
    asked.Filter,
    asked.Move,
    asked.RemoveAcross,
    asked.Pause,
    asked.Sweep,
    asked.ChangeSettings,
    asked.CheckOut,
    asked.CheckOutAcross,
    asked.Ack,
    asked.Nack,
    asked.Extend,
)
_ESCAPED = {"pattern": "^([A-Za-z0-9_.-]|![0-9a-f]{2})+$", "maxLength": 600}
_IN_PATHS: dict[str, dict[str, Any]] = {
    "job": _ESCAPED,
    "tag": _ESCAPED,
    "worker": _ESCAPED,
    "batch": asked.BATCH,
    "lane": {"pattern": asked.LANE["pattern"]},
    "name": {"pattern": "^20[0-9]{2}(0[1-9]|1[0-2])-[0-9a-f]{64}$"},
}
"""What path parameters look like, for who reads the document: the routes check them, and say in words what is wrong."""
_KEY = {"type": "apiKey", "in": "header", "name": "x-functions-key"}


Responses = dict[int | str, dict[str, Any]]
"""By status, as FastAPI takes them."""


def problems(*statuses: int) -> Responses:
    """For a route's `responses`: these errors. Those that every route may answer are added to all."""
    return {status: _problem(HTTPStatus(status).phrase) for status in statuses}


def body(models: dict[str, type[BaseModel]], *, required: bool = True) -> dict[str, Any]:
    """For a route's `openapi_extra`: the body, by media type, read by the route itself."""
    content = {kind: {"schema": {"$ref": _REF.format(model=model.__name__)}} for kind, model in models.items()}
    return {"requestBody": {"required": required, "content": content}}


BINARY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}
}
"""As `body`, of bytes as they are."""


def describe(app: FastAPI) -> None:
    """Make `app` answer with the true document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title="jobq", version=__version__, description=_ABOUT, routes=app.routes)
    components = document.setdefault("components", {})
    models = [(model, "validation") for model in _ASKED] + [(schemas.Problem, "serialization")]
    _, described = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]  # a list of literal pairs
    components.setdefault("schemas", {}).update(described["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {"key": _KEY}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(operation, is_open=path == "/api/health")
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["schema"] |= _IN_PATHS.get(parameter["name"], {})
            if method == "get" and is_below(path) and JSON in operation["responses"]["200"]["content"]:
                _describe_etag(operation)
    return document


def _complete(operation: dict[str, Any], *, is_open: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # what FastAPI refuses is a 400 here
    if is_open:
        return
    operation["security"] = [{"key": []}]
    everywhere = problems(401, 403, 429, 500, 503)
    for busy in (429, 503):
        everywhere[busy]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    for status, response in everywhere.items():
        responses.setdefault(str(status), response)


def _describe_etag(operation: dict[str, Any]) -> None:
    known = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}, "description": "etags, or `*`"}
    operation.setdefault("parameters", []).append(known)
    etag = {"ETag": {"schema": {"type": "string"}, "description": "of the body, strong"}}
    operation["responses"]["200"]["headers"] = etag
    operation["responses"]["304"] = {"description": "If-None-Match has the answer's etag", "headers": etag}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}}


_ABOUT = """Push jobs, ask how far they are, and manage them. Each first path segment after `/api` has a key of its own.
In paths, a job's id and a tag are escaped: `!` and two hex digits stand for each byte that is not in `A-Za-z0-9-_.`."""
