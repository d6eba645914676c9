"""Lists of jobs, page by page."""

from __future__ import annotations

from collections.abc import Iterator

from jobq.backend import Backend
from jobq.core.documents import Document
from jobq.core.listing import MAX_PAGE, Filter


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
