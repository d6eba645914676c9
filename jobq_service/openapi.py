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
from jobq_service.bodies import BYTES
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
        for operation in operations.values():
            _complete(operation, is_open=path == "/api/health")
    return document


def _complete(operation: dict[str, Any], *, is_open: bool) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # what FastAPI refuses is a 400 here
    if is_open:
        return
    operation["security"] = [{"key": []}]
    everywhere = problems(401, 403, 500, 503)
    everywhere[503]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}
    for status, response in everywhere.items():
        responses.setdefault(str(status), response)


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}}}}


_ABOUT = """Push jobs, ask how far they are, and manage them. Each first path segment after `/api` has a key of its own.
In paths, a job's id and a tag are escaped: `!` and two hex digits stand for each byte that is not in `A-Za-z0-9-_.`."""
