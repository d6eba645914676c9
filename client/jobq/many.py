"""A push of any number of jobs from Python: listed by some threads, pushed window by window, never held as a whole."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from jobq.core.documents import Document
from jobq.errors import BadInput
from jobq.model.job import NewJob
from jobq.model.names import id_in_batch

Task = str | Mapping[str, Any]
"""A shell command, or an object: with `cmd` a shell job, without it the keyword arguments of a Python callable."""

Source = Iterable[Task] | Callable[[], Iterable[Task]]
"""Jobs, or what lists them when its turn comes."""

Done = Callable[[Task], bool] | Container[str]
"""Whether a job is done already; or the ids and commands of those that are."""

MAX_JOBS = 1000
MAX_BYTES = 16_000_000
"""Of a window."""
PAUSE_SECONDS = 0.5
"""A window that is not full is pushed with the first job that comes after this."""
MOST_REFUSALS = 100


@dataclass(frozen=True, slots=True)
class Tally:
    """What `push_many` has done. `str(tally)` is the batch's name."""

    name: str
    queued: int
    exists: int
    skipped: int
    """Done already, by `already_done`."""
    refused: int
    refusals: tuple[Document, ...]
    """`id, status, state, error` of the first 100 jobs that were not taken."""

    def __str__(self) -> str:
        return self.name


@dataclass(slots=True)
class Listing:
    """A source, read by one thread at a time."""

    source: Source
    number: int
    """Among several, from 1; 0 for the only one."""
    is_over: bool = False
    readers: int = 0
    _position: int = 0
    _tasks: Iterator[Task] | None = None
    _lock: Lock = field(default_factory=Lock)

    def take(self) -> tuple[int, Task] | None:
        """The next job and its position, from 1. Raises whatever the source does."""
        with self._lock:
            if self.is_over:
                return None
            if self._tasks is None:
                self._tasks = iter(self.source() if callable(self.source) else self.source)
            for task in self._tasks:
                self._position += 1
                return self._position, task
            self.is_over = True
            return None

    def id_at(self, batch: str, position: int) -> str:
        """The id of a job that has none of its own."""
        return f"{batch}-{self.number}.{position:06d}" if self.number else id_in_batch(batch, position)

    def name_of(self, position: int) -> str:
        return f"job {position} of source {self.number}" if self.number else f"job {position} of the push"


@dataclass(slots=True)
class Window:
    jobs: list[NewJob] = field(default_factory=list)
    bytes: int = 0
    since: float = 0.0

    def add(self, job: NewJob, size: int) -> None:
        if not self.jobs:
            self.since = time.monotonic()
        self.jobs.append(job)
        self.bytes += size

    @property
    def is_due(self) -> bool:
        is_full = len(self.jobs) >= MAX_JOBS or self.bytes >= MAX_BYTES
        return bool(self.jobs) and (is_full or time.monotonic() - self.since > PAUSE_SECONDS)


@dataclass(slots=True)
class ManyPush:
    """`run` it once."""

    batch: str
    listings: Sequence[Listing]
    parse: Callable[[Task, int, Listing], tuple[NewJob, int]]
    """The job of a task at a position, and its size. Raises BadInput."""
    push: Callable[[Sequence[NewJob]], list[Document]]
    already_done: Done | None = None
    counts: Counter[str] = field(default_factory=Counter)
    refusals: list[Document] = field(default_factory=list)
    _given: set[str] = field(default_factory=set)
    """Ids that people gave: one that comes again would pass for a job that is there."""
    _next: int = 0
    _is_stopped: bool = False
    _lock: Lock = field(default_factory=Lock)
    _pushing: Lock = field(default_factory=Lock)

    def run(self, workers: int) -> Tally:
        """By that many threads; one is the caller's own. An error says in a note what was pushed before it."""
        try:
            if workers == 1:
                self._work()
            else:
                self._work_together(workers)
        except BaseException as error:
            error.add_note(self._so_far())
            raise
        count = self.counts
        refusals = tuple(self.refusals)
        return Tally(self.batch, count["queued"], count["exists"], count["skipped"], count["refused"], refusals)

    def _work_together(self, workers: int) -> None:
        with ThreadPoolExecutor(workers, thread_name_prefix="jobq-push") as pool:
            try:
                for worker in as_completed([pool.submit(self._work) for _ in range(workers)]):
                    worker.result()
            finally:
                self._is_stopped = True  # the others stop with the job that they are at

    def _work(self) -> None:
        window = Window()
        while listing := self._listing():
            while not self._is_stopped and (taken := listing.take()):
                self._add(window, listing, *taken)
                if window.is_due:
                    self._push(window)
        self._push(window)

    def _listing(self) -> Listing | None:
        """The next that nobody reads; when there is none, that which the fewest read."""
        with self._lock:
            if self._is_stopped:
                return None
            if self._next < len(self.listings):
                live = [self.listings[self._next]]
                self._next += 1
            else:
                live = [listing for listing in self.listings if not listing.is_over]
            if not live:
                return None
            chosen = min(live, key=lambda listing: listing.readers)
            chosen.readers += 1
            return chosen

    def _add(self, window: Window, listing: Listing, position: int, task: Task) -> None:
        job, size = self.parse(task, position, listing)
        if self.already_done is not None and _is_done(self.already_done, task, job):
            with self._lock:
                self.counts["skipped"] += 1
            return
        if job.id != listing.id_at(self.batch, position):
            with self._lock:
                if job.id in self._given:
                    raise BadInput(f"{listing.name_of(position)} has the id {job.id!r} of one before it")
                self._given.add(job.id)
        window.add(job, size)

    def _push(self, window: Window) -> None:
        if not window.jobs or self._is_stopped:
            return
        with self._pushing:
            for result in self.push(window.jobs):
                self.counts[result["status"]] += 1
                if result["status"] == "refused" and len(self.refusals) < MOST_REFUSALS:
                    self.refusals.append(result)
        window.jobs, window.bytes = [], 0

    def _so_far(self) -> str:
        stored = self.counts["queued"] + self.counts["exists"]
        return (
            f"jobq: at least {stored:,} jobs of batch {self.batch} are in the queue, {self.counts['skipped']:,} were "
            f"skipped. To complete it, push the same again with batch={self.batch!r}"
        )


def _is_done(done: Done, task: Task, job: NewJob) -> bool:
    if callable(done):
        return bool(done(task))
    if job.spec.command is None:
        raise BadInput(
            "already_done must be a function for jobs that are keyword arguments: a set holds ids or commands"
        )
    return job.id in done or job.spec.command in done
