"""Lists of jobs, page by page: by tag, batch or state, ordered by id, merged over the shards."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator
from dataclasses import dataclass
from operator import itemgetter

from jobq.core.ports import Row
from jobq.core.realm import Realm
from jobq.core.rows import (
    REALM_LABEL,
    batch_label,
    failed_key,
    job_key,
    job_of,
    member_key,
    partition,
    tag_label,
)
from jobq.core.together import together
from jobq.model.job import Job, JobState
from jobq.model.names import SHARDS, key_part, unescape

PAGE = 200
MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs: all that are given must hold."""

    tag: str = ""
    batch: str = ""
    lane: str = ""
    state: JobState | None = None

    def matches(self, job: Job) -> bool:
        return (
            (not self.tag or self.tag in job.spec.tags)
            and (not self.batch or self.batch == job.batch)
            and (not self.lane or self.lane in job.spec.lanes)
            and (self.state is None or self.state is job.state)
        )


@dataclass(frozen=True, slots=True)
class Page:
    jobs: list[Job]
    next: str
    """Pass as `after` for the following page; empty at the end."""


async def list_jobs(realm: Realm, where: Filter, *, after: str = "", limit: int = 50) -> Page:
    """Up to `limit` jobs (at most MAX_PAGE) that match, ordered by id.

    Costs a read per shard and PAGE rows passed over, so a rare match in a large realm takes several reads; failed jobs,
    and those of a tag or a batch, have lists of their own.
    """
    jobs: list[Job] = []
    limit = min(limit, MAX_PAGE)
    while True:
        found, last, is_end = await _read_page(realm, where, after, max(limit, 50))
        for job in found:
            if where.matches(job):
                jobs.append(job)
                if len(jobs) == limit:
                    return Page(jobs, key_part(job.id))
        if is_end:
            return Page(jobs, "")
        after = last


async def each_job(realm: Realm, where: Filter) -> AsyncIterator[Job]:
    """Every job that matches, ordered by id. Jobs that change on the way may be met or not."""
    after = ""
    while True:
        page = await list_jobs(realm, where, after=after, limit=PAGE)
        for job in page.jobs:
            yield job
        if not page.next:
            return
        after = page.next


async def _read_page(realm: Realm, where: Filter, after: str, limit: int) -> tuple[list[Job], str, bool]:
    """The next `limit` candidates in order of id, where to go on, and whether that was all."""
    sources = [(shard, *source) for shard in range(SHARDS) for source in _sources(where)]
    pages = await together(_scan(realm, *source, after, limit) for source in sources)
    # What one list has beyond its page is unknown, so nothing past the smallest full page's end may be shown yet.
    ends = [page[-1][0] for page in pages if len(page) == limit]
    end = min(ends) if ends else None
    candidates = [(name, row) for name, row in heapq.merge(*pages, key=itemgetter(0)) if end is None or name <= end]
    is_end = end is None and len(candidates) <= limit
    candidates = candidates[:limit]
    last = candidates[-1][0] if candidates else after
    return await _jobs(realm, [row for _, row in candidates]), last, is_end


def _sources(where: Filter) -> list[tuple[str, str]]:
    """The shortest lists that have all matches: a prefix of keys, and what to take off a key for the job's part."""
    label = tag_label(where.tag) if where.tag else batch_label(where.batch) if where.batch else REALM_LABEL
    jobs, members, failed = job_key(""), member_key(label, ""), failed_key(label, "")
    if where.state is JobState.FAILED:
        return [(failed, failed)]
    if where.tag:
        return [(members, members)]
    if where.batch:  # by their ids, and those whose ids do not say so
        return [(job_key(f"{where.batch}-"), jobs), (members, members)]
    return [(jobs, jobs)]


async def _scan(realm: Realm, shard: int, prefix: str, off: str, after: str, limit: int) -> list[tuple[str, Row]]:
    start = off + after if after else ""
    rows = await realm.stack.table.scan(partition(realm.name, shard), prefix, after=start, limit=limit)
    return [(row.key.removeprefix(off), row) for row in rows]


async def _jobs(realm: Realm, rows: list[Row]) -> list[Job]:
    """The jobs of rows that are theirs, or that only name them."""
    named = [row for row in rows if "state" not in row.values]
    ids = [str(row.values.get("id") or unescape(row.key.rpartition("~")[2])) for row in named]
    found = dict(zip((row.key for row in named), await realm.find_all(ids), strict=True))
    jobs = [found[row.key] if row.key in found else job_of(row) for row in rows]
    return [job for job in jobs if job is not None]
