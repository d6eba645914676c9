"""Jobs as clients read them: lists page by page, one with all of its payload, and for how long one is held."""

from __future__ import annotations

from collections.abc import Iterator

from jobq.backend import Backend
from jobq.core.documents import Document
from jobq.core.listing import MAX_PAGE, Filter
from jobq.model.durations import from_iso, utc_now
from jobq.model.job import JobState


class Pages:
    """Jobs as they are asked for; `next` says whether there are more."""

    def __init__(self, backend: Backend, where: Filter, limit: int | None = None) -> None:
        self._backend = backend
        self._where = where
        self._limit = limit
        self.next: str | None = None

    def __iter__(self) -> Iterator[Document]:
        left, after = self._limit, ""
        while left is None or left > 0:
            size = MAX_PAGE if left is None else min(left, MAX_PAGE)
            page = self._backend.jobs(self._where, after=after, limit=size)
            yield from page["jobs"]
            self.next = page["next"]
            if not self.next:
                return
            after = self.next
            left = None if left is None else left - len(page["jobs"])


def whole_job(backend: Backend, job: Document) -> Document:
    """A job of a list, which leaves out a payload that is kept in a blob."""
    is_left_out = job["command"] is None and job["kwargs"] is None
    return backend.job(job["id"]) if is_left_out else job


def seconds_out(job: Document) -> float | None:
    """For how long a running job has been somebody's, by this machine's clock; None of any other."""
    if job["state"] != JobState.RUNNING or not job["started_at"]:
        return None
    return max(0.0, (utc_now() - from_iso(job["started_at"])).total_seconds())
