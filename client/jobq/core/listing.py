"""Lists of jobs, page by page: by tag, batch, state and more, ordered by id, merged over the shards."""

from __future__ import annotations

import heapq
import json
from collections.abc import AsyncIterator, Container, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeVar

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
from jobq.core.workers import held_jobs
from jobq.model.fingerprint import error_of
from jobq.model.job import Job, JobState, Reason
from jobq.model.names import SHARDS, key_part, unescape

T = TypeVar("T")

MAX_PAGE = 1000
"""Jobs on a page."""
SCAN = 250
"""Rows read at once of each list in each shard."""
MAX_ROWS = 2000
"""With so many rows read a page ends, however few of them matched."""

COUNTED = 1000
"""As SCAN, to count: with few columns, a row is small."""
_COUNTED_COLUMNS = ("id", "batch", "state", "tags", "lanes", "reason")

_AT_ONCE = 50
"""Rows that are read one by one, side by side, since a list only names their jobs; at least."""

ANY = frozenset(JobState)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs: all that are given must hold.

    As counts have it, `running` is what believed workers hold, and `queued` all else that has not ended.
    """

    tag: str = ""
    batch: str = ""
    lane: str = ""
    state: JobState | None = None
    reason: Reason | None = None
    """How the last attempt ended."""
    text: str = ""
    """Some of the id, the command or the arguments (as JSON), ignoring case. Of a payload in a blob only the id."""
    error: str = ""
    """The key of `jobq.model.fingerprint`: jobs that failed alike."""

    @property
    def is_told_by_keys(self) -> bool:
        """Whether the rows of the shortest list that has all matches name nothing else."""
        is_more = self.lane or self.reason or self.text or self.error or (self.tag and self.batch)
        return not is_more and self.state in (None, JobState.FAILED)

    def matches(self, job: Job, held: Container[str] = ()) -> bool:
        """`held`: ids of the jobs that workers hold, where `state` asks for one that has not ended."""
        return (
            (not self.tag or self.tag in job.spec.tags)
            and (not self.batch or self.batch == job.batch)
            and (not self.lane or self.lane in job.spec.lanes)
            and (self.state is None or self.state is _shown_state(job, held))
            and (self.reason is None or self.reason is job.reason)
            and (not self.text or _has_text(job, self.text.casefold()))
            and (not self.error or ((error := error_of(job)) is not None and error.key == self.error))
        )


def _shown_state(job: Job, held: Container[str]) -> JobState:
    if job.state.is_final:
        return job.state
    return JobState.RUNNING if job.id in held else JobState.QUEUED


def _has_text(job: Job, folded: str) -> bool:
    kwargs = job.spec.kwargs
    arguments = "" if kwargs is None else json.dumps(kwargs, ensure_ascii=False)
    return any(folded in text.casefold() for text in (job.id, job.spec.command or "", arguments))


@dataclass(frozen=True, slots=True)
class Page:
    jobs: list[Job]
    next: str
    """Pass as `after` for the following page; empty at the end."""


async def list_jobs(
    realm: Realm, where: Filter, *, after: str = "", limit: int = 50, among: Container[JobState] = ANY
) -> Page:
    """Up to `limit` jobs (at most MAX_PAGE) that match, ordered by id, of those whose rows are in the states `among`.

    A page reads about MAX_ROWS rows at most, so it may be short, even empty, and have a `next`. Failed jobs, and those
    of a tag or a batch, have lists of their own; running ones are read from what workers say.
    """
    jobs: list[Job] = []
    limit = min(limit, MAX_PAGE)
    size, read = min(max(limit, _AT_ONCE), SCAN), 0
    while True:
        look = await _look(realm, where, after, size)
        for rows in sliced(look.rows, max(limit, _AT_ONCE)):
            for job in await _jobs(realm, rows):
                if job.state in among and where.matches(job, look.held):
                    jobs.append(job)
                    if len(jobs) == limit:
                        return Page(jobs, key_part(job.id))
        read += look.read
        if look.is_end or read >= MAX_ROWS:
            return Page(jobs, "" if look.is_end else look.last)
        after, size = look.last, SCAN


async def each_job(realm: Realm, where: Filter, *, among: Container[JobState] = ANY) -> AsyncIterator[Job]:
    """Every job that matches, ordered by id. Jobs that change on the way may be met or not."""
    after = ""
    while True:
        page = await list_jobs(realm, where, after=after, limit=MAX_PAGE, among=among)
        for job in page.jobs:
            yield job
        if not page.next:
            return
        after = page.next


async def count_jobs(realm: Realm, where: Filter, *, after: str = "") -> tuple[int, str]:
    """How many jobs match among the next thousands of rows, and where to go on: empty when that was all.

    Rows that name jobs are counted as they are where that is enough; else each job is read.
    """
    is_told, is_whole = where.is_told_by_keys, bool(where.text or where.error)
    is_named = where.tag or where.state is JobState.FAILED
    size = SCAN if is_whole or (is_named and not is_told) else COUNTED
    look = await _look(realm, where, after, size, columns=() if is_whole else _COUNTED_COLUMNS)
    count = len(look.rows) if is_told else 0
    for rows in () if is_told else sliced(look.rows, SCAN):
        count += sum(where.matches(job, look.held) for job in await _jobs(realm, rows))
    return count, "" if look.is_end else look.last


@dataclass(frozen=True, slots=True)
class _Look:
    """The next rows of jobs, or that name jobs, in order of id."""

    rows: list[Row]
    last: str
    """Where to go on."""
    is_end: bool
    read: int
    """How many rows that took."""
    held: Container[str] = ()


async def _look(realm: Realm, where: Filter, after: str, size: int, columns: Sequence[str] = ()) -> _Look:
    if where.state is JobState.RUNNING:
        return await _look_at_workers(realm, after)
    sources = [(shard, *source) for shard in range(SHARDS) for source in _sources(where)]
    pages = await together(_scan(realm, *source, after, size, columns) for source in sources)
    # After the rows: a job that a worker takes meanwhile is then no longer taken for one that nobody has.
    held = await held_jobs(realm) if where.state is JobState.QUEUED else frozenset[str]()
    # What one list has beyond its page is unknown, so nothing past the smallest full page's end may be shown yet.
    ends = [page[-1][0] for page in pages if len(page) == size]
    end = min(ends) if ends else None
    found = [(name, row) for name, row in heapq.merge(*pages, key=itemgetter(0)) if end is None or name <= end]
    last = found[-1][0] if found else after
    return _Look([row for _, row in found], last, end is None, sum(map(len, pages)), held)


async def _look_at_workers(realm: Realm, after: str) -> _Look:
    """What they hold, at a cost that does not grow with the realm."""
    held = await held_jobs(realm)
    names = sorted((name, job_id) for job_id in held if (name := key_part(job_id)) > after)
    found = names[:MAX_ROWS]
    rows = [Row(job_key(job_id), "", {"id": job_id}) for _, job_id in found]
    return _Look(rows, found[-1][0] if found else after, len(found) == len(names), len(found), held)


def _sources(where: Filter) -> list[tuple[str, str]]:
    """The shortest lists that have all matches: a prefix of keys, and what to take off a key for the job's part."""
    label = tag_label(where.tag) if where.tag else batch_label(where.batch) if where.batch else REALM_LABEL
    jobs, members, failed = job_key(""), member_key(label, ""), failed_key(label, "")
    if where.state is JobState.FAILED or where.error:
        return [(failed, failed)]
    if where.tag:
        return [(members, members)]
    if where.batch:  # by their ids, and those whose ids do not say so
        return [(job_key(f"{where.batch}-"), jobs), (members, members)]
    return [(jobs, jobs)]


async def _scan(
    realm: Realm, shard: int, prefix: str, off: str, after: str, limit: int, columns: Sequence[str]
) -> list[tuple[str, Row]]:
    where, start = partition(realm.name, shard), off + after if after else ""
    rows = await realm.stack.table.scan(where, prefix, after=start, limit=limit, columns=columns)
    return [(row.key.removeprefix(off), row) for row in rows]


async def _jobs(realm: Realm, rows: Sequence[Row]) -> list[Job]:
    """The jobs of rows that are theirs, or that only name them."""
    named = [row for row in rows if "state" not in row.values]
    ids = [str(row.values.get("id") or unescape(row.key.rpartition("~")[2])) for row in named]
    found = dict(zip((row.key for row in named), await realm.find_all(ids), strict=True))
    jobs = [found[row.key] if row.key in found else job_of(row) for row in rows]
    return [job for job in jobs if job is not None]


def sliced(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In order, so many at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
