"""JSON answers: ASCII, never sniffed as something else, never part of another site's page, never kept by a cache.

What a caller may keep for itself, `conditional` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from jobq.core.documents import Document
from jobq.model.job import PushStatus
from jobq.model.wire import dumps

HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def answer(document: dict[str, Any], status: int = 200) -> Response:
    return Response(dumps(document), status, HEADERS, "application/json")


def answer_each(results: Sequence[Document], **more: object) -> Response:
    """Of a bulk request: 207 if some were refused."""
    is_refused = any(result["status"] == PushStatus.REFUSED for result in results)
    return answer({**more, "results": results}, 207 if is_refused else 200)
