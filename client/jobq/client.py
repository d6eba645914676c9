"""The Python API: sync and small. For all that it can do see the README; the command line does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Literal, TypedDict, Unpack

from jobq.backend import direct_address, open_backend
from jobq.core.api import Selection
from jobq.core.documents import Document
from jobq.core.listing import Filter
from jobq.core.push import check_payload
from jobq.errors import BadInput
from jobq.many import Done, Listing, ManyPush, Source, Tally
from jobq.many import Task as Task
from jobq.model.address import parse_address
from jobq.model.durations import parse_duration
from jobq.model.job import DEFAULT_LIMITS, IfExists, JobState, Json, NewJob, Reason, Spec
from jobq.model.names import (
    DEFAULT_LANE,
    MAX_TAGS,
    batch_name,
    id_in_batch,
    lane_name,
    new_batch,
    new_token,
    tag_name,
)
from jobq.model.outputs import output_target
from jobq.model.retry import Backoff, cause
from jobq.model.submission import new_command, parse_object
from jobq.model.wire import env_from_json
from jobq.reading import Pages
from jobq.settings import Settings, read_settings, read_telemetry_settings
from jobq.shipping import Shipment, pack, ship
from jobq.telemetry import PushSpan, Telemetry, open_telemetry
from jobq.waiting import Standing, Target, wait_for

Duration = timedelta | float | str
"""A number is seconds; a text is as on the command line, `2h30m`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a push has done. `str(batch)` is its name."""

    name: str
    ids: tuple[str, ...]
    """In the order of the jobs given, refused ones too."""
    queued: int
    exists: int
    refused: tuple[Document, ...]
    """`id, status, state, error` of jobs that were not taken."""

    def __str__(self) -> str:
        return self.name


What = Batch | Tally | str | Sequence[str]
"""A batch, by itself or by name; or ids of jobs."""


class JobOptions(TypedDict, total=False):
    """What holds for jobs of a push that say nothing else, as for `push`."""

    tags: Sequence[str]
    lane: str | int
    env: Mapping[str, str] | None
    num_retries: int
    backoff: str
    retry_on: Sequence[str]
    no_retry_on: Sequence[str]
    timeout: Duration | None
    bg_dirsync_to: str


IfThere = Literal["skip", "error", "rerun-failed", "replace"]


class Client:
    """A realm, as a context manager.

    `queue` is `account/realm`, `sb://namespace/realm`, `https://host/api/realm` or `local:./dir/realm`; without it
    the environment and the configuration files say so. All methods raise subclasses of JobqError.
    """

    def __init__(
        self, queue: str = "", *, connection_string: str = "", servicebus_connection_string: str = "", key: str = ""
    ) -> None:
        settings = client_settings(queue, connection_string, servicebus_connection_string, key)
        self.address = parse_address(settings.address_text())
        self._backend = open_backend(self.address, settings)
        self._telemetry: Telemetry | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._backend.close()
        if self._telemetry:
            self._telemetry.close()

    def push(
        self,
        jobs: Sequence[Task],
        *,
        batch: str = "",
        tags: Sequence[str] = (),
        lane: str | int = DEFAULT_LANE,
        env: Mapping[str, str] | None = None,
        files: Sequence[str | PathLike[str]] = (),
        num_retries: int = 0,
        backoff: str = "",
        retry_on: Sequence[str] = (),
        no_retry_on: Sequence[str] = (),
        timeout: Duration | None = None,
        bg_dirsync_to: str = "",
        chunk: int = 1,
        if_exists: IfThere = "skip",
    ) -> Batch:
        """Store the jobs; what is counted as queued is durable. The options hold for jobs that say nothing else.

        `files`, and folders with all in them, are in each job's directory under the relative paths given.

        Ids come from `batch` and position, so an interrupted push is completed by the same call with the same batch.
        Raises BadInput, naming the job, before anything is pushed.
        """
        if isinstance(jobs, (str, Mapping)):
            raise BadInput("push takes a list of jobs, also for one job")
        name = batch_name(batch) if batch else new_batch()
        shipment = _packed(files)
        defaults = _defaults(
            tags=tags,
            lane=lane,
            env=env,
            num_retries=num_retries,
            backoff=backoff,
            retry_on=retry_on,
            no_retry_on=no_retry_on,
            timeout=timeout,
            bg_dirsync_to=bg_dirsync_to,
        )
        whole = Listing(jobs, 0)
        with self._span(name) as span:
            defaults = replace(defaults, files=shipment.name, traceparent=span.traceparent)
            new = [_new_job(task, position, whole, name, defaults)[0] for position, task in enumerate(jobs, 1)]
            ship(self._backend, shipment)
            done = self._backend.push(new, batch=name, if_exists=IfExists(if_exists), chunk=chunk, token=new_token())
            span.answered(done)
        statuses = [result["status"] for result in done]
        refused = tuple(result for result in done if result["status"] == "refused")
        ids = tuple(result["id"] for result in done)
        return Batch(name, ids, statuses.count("queued"), statuses.count("exists"), refused)

    def push_many(
        self,
        *sources: Source,
        workers: int = 1,
        already_done: Done | None = None,
        batch: str = "",
        files: Sequence[str | PathLike[str]] = (),
        chunk: int = 1,
        if_exists: IfThere = "skip",
        **options: Unpack[JobOptions],
    ) -> Tally:
        """Push whatever the sources give, as it comes: iterables of jobs, or functions that return one.

        Memory holds some windows of at most 1,000 jobs, however many there are. `workers`: threads that read sources
        side by side, and ask `already_done`: of a job (as the source gave it) whether it is done, so that it is not
        pushed; or a set of ids and commands. Ids come from `batch`, the source's place and the job's position in it,
        so an interrupted push is completed by the same call with the same batch. An error of a source is raised as it
        is, and of a bad job as BadInput; a note says what was pushed before.
        """
        if not sources or any(isinstance(source, (str, Mapping)) for source in sources):
            raise BadInput("push_many takes lists or generators of jobs, or functions that return one")
        if workers < 1:
            raise BadInput(f"{workers} workers cannot push")
        name, token = batch_name(batch) if batch else new_batch(), new_token()
        shipment = _packed(files)
        listings = [Listing(source, number if len(sources) > 1 else 0) for number, source in enumerate(sources, 1)]
        mode = IfExists(if_exists)
        with self._span(name) as span:
            defaults = replace(_defaults(**options), files=shipment.name, traceparent=span.traceparent)
            ship(self._backend, shipment)

            def push(jobs: Sequence[NewJob]) -> list[Document]:
                done = self._backend.push(jobs, batch=name, if_exists=mode, chunk=chunk, token=token)
                span.answered(done)
                return done

            return ManyPush(
                name,
                listings,
                lambda task, position, listing: _new_job(task, position, listing, name, defaults),
                push,
                already_done,
            ).run(workers)

    def status(self) -> Document:
        """`total, queued, running, succeeded, failed, cancelled, workers`; and counts by lane, tag and batch."""
        return self._backend.status()

    def tag(self, tag: str) -> Document:
        """The six counts of a tag. Raises NotFound."""
        return self._backend.tag_status(tag)

    def batch(self, batch: Batch | Tally | str) -> Document:
        """The six counts of a batch. Raises NotFound."""
        return self._backend.batch_status(str(batch))

    def job(self, job_id: str) -> Document:
        """`id, state, reason, exit_code, attempts, tags, lanes, output_tail, result` and more. Raises NotFound."""
        return self._backend.job(job_id)

    def jobs(
        self,
        *,
        tag: str = "",
        batch: Batch | Tally | str = "",
        lane: str = "",
        state: str = "",
        reason: str = "",
        text: str = "",
        error: str = "",
    ) -> Iterator[Document]:
        """All that match, ordered by id, read page by page.

        `text`: some of the id, command or arguments, ignoring case; `error`: the fingerprint of a failure.
        """
        where = _filter(tag, batch, lane, state)
        yield from Pages(
            self._backend, replace(where, reason=Reason(reason) if reason else None, text=text, error=error)
        )

    def log(self, job_id: str, *, attempt: int | None = None) -> bytes:
        """The output of an attempt, the last one by default."""
        return self._backend.log(job_id, attempt=attempt)

    def wait(self, what: What | None = None, *, tag: str = "", timeout: Duration | None = None) -> Standing:
        """How they stand when none of the jobs remains: of a batch, some ids, a tag, or the realm. Raises TimedOut."""
        target = Target(tag=tag) if tag else self._target(what)
        return wait_for(self._backend, target, timeout=duration_of(timeout))

    def results(self, batch: Batch | Tally | str) -> dict[str, Json]:
        """What the Python callable returned, for each job of the batch that succeeded, by id."""
        succeeded = self.jobs(batch=batch, state=JobState.SUCCEEDED)
        return {
            job["id"]: self.job(job["id"])["result"] if job["is_result_in_blob"] else job["result"] for job in succeeded
        }

    def cancel(self, what: What = (), *, tag: str = "", message: str = "") -> Document:
        """`matched, changed, refused`. Of a batch or a tag, jobs that have ended are passed over."""
        return self._backend.cancel(self._selection(what, tag), message=message)

    def retry(self, what: What = (), *, tag: str = "") -> Document:
        """Queue failed and cancelled jobs again: `matched, changed, refused`."""
        return self._backend.retry(self._selection(what, tag))

    def preempt(self, what: What = (), *, tag: str = "") -> Document:
        """Stop running jobs and put them back, as if their machines went: `matched, changed, refused`."""
        return self._backend.preempt(self._selection(what, tag))

    def remove(self, what: What = (), *, tag: str = "") -> Document:
        """Delete jobs and what is kept of them: `matched, changed, refused`."""
        return self._backend.remove(self._selection(what, tag))

    def _span(self, batch: str) -> PushSpan:
        self._telemetry = self._telemetry or open_telemetry(read_telemetry_settings())
        return self._telemetry.push(self.address.realm, batch)

    def _selection(self, what: What, tag: str) -> Selection:
        if tag:
            return Selection(where=_filter(tag, what if isinstance(what, Batch | Tally) else "", "", ""))
        target = self._target(what or ())
        return Selection(ids=target.ids) if target.ids else Selection(where=Filter(batch=target.batch))

    def _target(self, what: What | None) -> Target:
        if what is None:
            return Target()
        if isinstance(what, Batch | Tally):
            return Target(batch=what.name)
        if isinstance(what, str):
            return Target(batch=what)
        if not what:
            raise BadInput("say which jobs: a batch, ids or a tag")
        return Target(ids=tuple(what))


def client_settings(queue: str, connection_string: str, servicebus_connection_string: str, key: str) -> Settings:
    """Those of environment and files, where the caller has not given others."""
    settings = read_settings(queue=queue)
    return replace(
        settings,
        connection_string=connection_string or settings.connection_string,
        servicebus_connection_string=servicebus_connection_string or settings.servicebus_connection_string,
        key=key or settings.key,
        keys={} if key else settings.keys,
    )


def run_worker(queue: str = "", handler: Callable[..., Any] | str | None = None, **options: Any) -> dict[str, int]:
    """Run the queue's jobs on this machine until there is none left; how many attempts led to each state.

    Shell commands, or `handler` (a function at the top level of a module or script) with each job's keyword arguments.
    Options are those of `jobq.worker.run.run_worker`: `slots`, `until` ("empty", "idle", "forever"), `realms`, …
    """
    from jobq.worker.run import run_worker as run

    settings = read_settings(queue=queue)
    address = direct_address(parse_address(settings.address_text()), settings)
    return run(str(address), handler=handler, **options)


def _packed(files: Sequence[str | PathLike[str]]) -> Shipment:
    if isinstance(files, (str, PathLike)):
        raise BadInput("files are a list of paths, also for one file")
    return pack([fspath(file) for file in files])


def _defaults(
    *,
    tags: Sequence[str] = (),
    lane: str | int = DEFAULT_LANE,
    env: Mapping[str, str] | None = None,
    num_retries: int = 0,
    backoff: str = "",
    retry_on: Sequence[str] = (),
    no_retry_on: Sequence[str] = (),
    timeout: Duration | None = None,
    bg_dirsync_to: str = "",
) -> Spec:
    limits = replace(
        DEFAULT_LIMITS,
        retries=num_retries,
        timeout=duration_of(timeout),
        backoff=Backoff.parse(backoff) if backoff else DEFAULT_LIMITS.backoff,
        retry_on=tuple(map(cause, retry_on)),
        no_retry_on=tuple(map(cause, no_retry_on)),
    )
    return Spec(
        env=env_from_json(dict(env or {})),
        tags=tag_names(tags),
        lanes=(lane_name(lane),),
        limits=limits,
        outputs=output_target(bg_dirsync_to) if bg_dirsync_to else "",
    )


def _new_job(task: Task, position: int, listing: Listing, batch: str, defaults: Spec) -> tuple[NewJob, int]:
    """With the size of its payload in bytes."""
    try:
        if isinstance(task, str):
            job = new_command(task, batch=batch, position=position, defaults=defaults)
        elif isinstance(task, Mapping):
            job = parse_object(dict(task), batch=batch, position=position, defaults=defaults)
        else:
            raise BadInput(f"it is a {type(task).__name__}, not a text or an object")
        if job.id == id_in_batch(batch, position):
            job = NewJob(listing.id_at(batch, position), job.spec)
        return job, check_payload(job)
    except (BadInput, TypeError, ValueError) as error:
        raise BadInput(f"{listing.name_of(position)}: {error}") from error


def tag_names(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        raise BadInput(f"tags are a list of texts, not the text {tags!r}")
    names = tuple(dict.fromkeys(map(tag_name, tags)))
    if len(names) > MAX_TAGS:
        raise BadInput(f"{len(names)} tags are too many: a job has at most {MAX_TAGS}")
    return names


def duration_of(value: Duration | None) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    return parse_duration(value) if isinstance(value, str) else timedelta(seconds=value)


def _filter(tag: str, batch: Batch | Tally | str, lane: str, state: str) -> Filter:
    return Filter(tag, str(batch), lane, JobState(state) if state else None)
