"""`/dashboard`: the page that people leave open, as static files. It asks no key; what it shows and does asks for one.

No path of a request reaches the disk: what there is lies in a table that is made once, of the files in `static`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from jobq_service.conditional import etag_of, is_known

ROOT = "/dashboard"
START = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",
}
"""By the end of a file's name; a file of another kind is not served. Without one they are licences."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
}
"""What the page may do, in case a job's text gets in where it should not: nothing but what comes from here."""
_REFUSED = ("camera", "display-capture", "geolocation", "microphone", "payment", "serial", "usb")

HEADERS = {
    "cache-control": "no-cache",  # kept, but asked for each time: a deployment shows at once
    "content-security-policy": "; ".join(f"{what} {whence}" for what, whence in _POLICY.items()),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(f"{feature}=()" for feature in _REFUSED),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

router = APIRouter(prefix=ROOT, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    media_type: str
    etag: str


@cache
def assets() -> Mapping[str, Asset]:
    """What there is, by its path below `static`."""
    found = {
        path: (file, MEDIA_TYPES.get(PurePosixPath(path).suffix))
        for path, file in _below(files(__package__) / "static")
    }
    return {path: _asset(file.read_bytes(), kind) for path, (file, kind) in found.items() if kind}


def is_dashboard(path: str) -> bool:
    """Whether it is one of the page's files, which anybody may load, or would be."""
    return path == ROOT or path.startswith(f"{ROOT}/")


@router.api_route("", methods=["GET", "HEAD"])
async def root() -> Response:
    """To where the page's own addresses are relative to. Nothing of the request is in it."""
    return RedirectResponse(f"{ROOT}/", 307, HEADERS)


@router.api_route("/{path:path}", methods=["GET", "HEAD"])
async def asset(request: Request, path: str) -> Response:
    found = assets().get(path or START)
    if found is None:
        raise HTTPException(404)
    headers = {**HEADERS, "etag": found.etag}
    if is_known(found.etag, request.headers.getlist("if-none-match")):
        return Response(status_code=304, headers=headers)
    headers["content-length"] = str(len(found.body))
    return Response(found.body if request.method == "GET" else b"", headers=headers, media_type=found.media_type)


def _below(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            yield f"{prefix}{entry.name}", entry


def _asset(body: bytes, media_type: str) -> Asset:
    return Asset(body, media_type, etag_of(body))
