"""Request bodies: their type, their size, and gzip. Nothing is held beyond the limit, however it was sent."""

from __future__ import annotations

import zlib
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from jobq.errors import BadInput, TooLarge
from jobq_service.problems import explain

JSON = "application/json"
NDJSON = "application/x-ndjson"
BYTES = "application/octet-stream"

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """The body, inflated. Raises TooLarge, BadInput for broken gzip, HTTPException(415) for another encoding."""
    limit: int = request.app.state.max_body_bytes
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise HTTPException(415, f"content-encoding {encoding[:40]!r} is not known here; send gzip, or none", _ACCEPTED)
    body = await _read(request, limit)
    return inflate(body, limit) if encoding == "gzip" else body


_ACCEPTED = {"accept-encoding": "gzip, identity"}


async def read_text(request: Request) -> str:
    try:
        return (await read_body(request)).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"the body is not UTF-8 (byte {error.start})") from error


async def read_model(request: Request, model: type[Model]) -> Model:
    """The body as a value of `model`; without a body, its defaults. Raises BadInput with the place of each fault."""
    body = await read_body(request)
    if body:
        media_type(request, JSON)
    try:
        return model.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        raise BadInput(explain(error.errors(include_input=False, include_url=False))) from error


def media_type(request: Request, *allowed: str) -> str:
    """Which of `allowed` the body is. Raises HTTPException(415)."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in allowed:
        wanted = " or ".join(allowed)
        raise HTTPException(415, f"send the body as {wanted} (header Content-Type)", {"accept": ", ".join(allowed)})
    return given


async def _read(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def inflate(body: bytes, limit: int) -> bytes:
    """All members of a gzip stream. Raises TooLarge as soon as it is over `limit`, BadInput for what is not gzip."""
    out = bytearray()
    while body:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            out += member.decompress(body, limit + 1 - len(out))
        except zlib.error as error:
            raise BadInput(f"the body says it is gzip but does not inflate ({error})") from error
        if len(out) > limit:
            raise _too_large(limit)
        if not member.eof:
            raise BadInput("the body's gzip ends too early")
        body = member.unused_data
    return bytes(out)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"the body is over {limit:,} bytes, the most that is taken here (inflated, too); "
        "send jobs in several requests under the same batch, a file in pieces"
    )
