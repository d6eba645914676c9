"""Which jobs a caller means, in a query or in a body."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from jobq.core.listing import Filter
from jobq.model.fingerprint import error_key
from jobq.model.job import JobState, Reason
from jobq.model.names import batch_name, lane_name, tag_name

AFTER = r"^[A-Za-z0-9_.!-]*$"
"""What a page's `next` looks like."""
MAX_AFTER = 250
MAX_TEXT = 200

After = Annotated[str, Query(pattern=AFTER, max_length=MAX_AFTER, description="`next` of a page")]


def filter_of(
    tag: str | None = None,
    batch: str | None = None,
    lane: str | int | None = None,
    state: JobState | None = None,
    reason: Reason | None = None,
    text: str | None = None,
    error: str | None = None,
) -> Filter:
    """Raises BadInput. Nothing, and an empty text, mean any."""
    return Filter(
        tag=tag_name(tag) if tag else "",
        batch=batch_name(batch) if batch else "",
        lane=lane_name(lane) if lane not in (None, "") else "",
        state=state,
        reason=reason,
        text=text or "",
        error=error_key(error) if error else "",
    )


async def _asked_for(
    tag: str = "",
    batch: str = "",
    lane: str = "",
    state: Annotated[
        JobState | None,
        Query(description="`running`: what believed workers hold; `queued`: all else that has not ended"),
    ] = None,
    reason: Annotated[Reason | None, Query(description="how the last attempt ended")] = None,
    text: Annotated[
        str, Query(max_length=MAX_TEXT, description="some of the id, the command or the arguments, ignoring case")
    ] = "",
    error: Annotated[str, Query(description="of failed jobs: the fingerprint of their last line")] = "",
) -> Filter:
    return filter_of(tag, batch, lane, state, reason, text, error)


Where = Annotated[Filter, Depends(_asked_for)]
"""The filter in a query."""
