"""JSON answers: ASCII, never sniffed as something else, never part of another site's page, never kept by a cache."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from jobq.model.wire import dumps

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def answer(document: dict[str, Any], status: int = 200) -> Response:
    return Response(dumps(document), status, HEADERS, "application/json")
