"""The documents of the HTTP interface, as the OpenAPI document shows them. Keys are added, never renamed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jobq.model.job import IfExists, JobState, PushStatus
from jobq_service.submissions import MAX_JOBS


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answered(BaseModel):
    model_config = ConfigDict(extra="allow")


class Problem(_Answered):
    """An error (RFC 9457)."""

    type: str = Field(description="`urn:jobq:…` names the error; `about:blank` is what its status says")
    title: str
    status: int
    detail: str = Field(description="what happened and what to do")
    index: int | None = Field(None, description="of a push's bad job, from 0")
    line: int | None = Field(None, description="of an NDJSON push's bad job, from 1")
    request: str | None = Field(None, description="names this request in the log of the control plane")


class Health(_Answered):
    status: str
    version: str


class NewJob(_Asked):
    """One job: `cmd` (a shell command) or `kwargs` (arguments for a Python callable), never both."""

    id: str | int | None = Field(None, description="made from batch and position where it is not given")
    cmd: str | None = None
    kwargs: dict[str, Any] | None = None
    env: dict[str, str | int | float] = {}
    bg_dirsync_to: str | None = Field(
        None, max_length=1000, description="where outputs go: a path on the worker, or az://container/prefix"
    )
    tags: list[str] = Field([], max_length=20)
    lanes: list[str | int] = Field(["0"], max_length=10)
    lane: str | int | None = Field(None, description="in place of `lanes`")
    num_retries: int = Field(0, ge=0, le=10_000)
    crash_limit: int = Field(3, ge=0, le=10_000)
    max_preemptions: int = Field(1000, ge=0, le=10_000)
    timeout: float | str | None = Field(None, description="seconds, or a duration such as `2h`, of one attempt")
    backoff: str = Field("1s..5m", description="the wait before the first retry, and the longest")
    retry_on: list[str] = Field([], max_length=20, description="such as `oom` or `exit:75`; empty: any failure")
    no_retry_on: list[str] = Field([], max_length=20, description="also of `lost` and `preempted`")
    traceparent: str | None = Field(None, description="the trace that its attempts continue (W3C Trace Context)")
    files: str = Field("", description="the name of a manifest that is stored: the files in the job's directory")


class Push(_Asked):
    batch: str | None = Field(None, description="a fresh name where it is not given")
    if_exists: IfExists = IfExists.SKIP
    chunk: int = Field(1, ge=1, le=1000, description="jobs that share a ticket")
    token: str | None = Field(None, description="the same when a push is repeated whose answer was lost")
    jobs: list[NewJob] = Field(min_length=1, max_length=MAX_JOBS)


class PushedJob(_Answered):
    id: str
    status: PushStatus
    state: JobState
    error: str | None = None


class Pushed(_Answered):
    batch: str
    results: list[PushedJob] = Field(description="in the order of the jobs")


class AskedFiles(_Asked):
    names: list[str] = Field([], max_length=MAX_JOBS, description="of manifests and pieces: `yyyymm-` and a SHA-256")


class MissingFiles(_Answered):
    missing: list[str]


class StoredFile(_Answered):
    name: str
    size: int


class Counts(_Answered):
    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


class RealmStatus(Counts):
    realm: str
    workers: int
    lanes: dict[str, Counts]
    tags: dict[str, Counts]
    batches: dict[str, Counts]


class RealmTotal(Counts):
    realm: str


class Scale(_Answered):
    realm: str
    waiting: int = Field(description="jobs that wait in lanes that are not paused, delayed retries among them")
    running: int
    oldest_seconds: float | None = Field(description="how long has waited what waits longest; null: nothing is seen to")
    workers: int = Field(description="live ones")
    wanted: int = Field(description="(waiting + running) / jobs_per_worker, rounded up, from min to max")


class TagStatus(Counts):
    tag: str


class BatchStatus(Counts):
    batch: str


class Realms(_Answered):
    realms: list[str]


class Progress(_Answered):
    fraction: float | None = Field(description="from 0 to 1; null where the job says only a text")
    text: str


class Job(_Answered):
    id: str
    batch: str
    state: JobState
    reason: str | None
    exit_code: int | None
    attempts: int
    tags: list[str]
    lanes: list[str]
    files: str | None
    progress: Progress | None = Field(None, description="of a running job that tells")
    output_tail: str
    result: Any = None


class Jobs(_Answered):
    jobs: list[Job]
    next: str | None = Field(description="pass as `after` for the following page; null at the end")


class LogStart(_Answered):
    start: int = Field(description="the byte to begin with, up to half a minute early; past the end if nothing came")


class Gpu(_Answered):
    name: str
    use: float | None = Field(description="the part of the time in which it was at work")
    memory: float | None = Field(description="the part of its memory that is in use")


class Worker(_Answered):
    id: str
    host: str
    slots: int = Field(description="jobs that it runs at the same time")
    labels: dict[str, str]
    cpu: float | None = Field(description="processes that ran or waited to, for each processor: over 1 if some waited")
    memory: float | None = Field(description="the part that is in use")
    gpus: list[Gpu] = Field(description="empty where `nvidia-smi` says nothing")
    image: str | None = Field(description="of its container, as JOBQ_IMAGE says there")
    draining: bool
    running: list[str] = Field(description="ids of the jobs it runs")
    progress: dict[str, Progress] = Field(description="by job, of those that tell")
    beat_at: str = Field(description="when it was heard of last")
    expires_at: str = Field(description="until when its jobs count as running")


class Workers(_Answered):
    workers: list[Worker]


class AskedWorker(_Answered):
    worker: str


class Where(_Answered):
    address: str = Field(description="a queue's address that a worker can pull from directly")
    tables: str = Field(description="the storage account with its rows, where the address does not say it; else empty")


class Pause(_Asked):
    lane: str | int | None = Field(None, description="this lane only; the whole realm without one")


class Paused(_Answered):
    realm: str
    paused: list[str] = Field(description="lanes, or `*` for the whole realm")


class Cancel(_Asked):
    message: str = Field("", max_length=1000)


class Filter(_Asked):
    """Which jobs: ids, or all that match everything else that is given. Nothing given is refused."""

    ids: Annotated[list[str], Field(max_length=MAX_JOBS)] | None = None
    tag: str | None = None
    batch: str | None = None
    lane: str | int | None = None
    state: JobState | None = None


class CancelMany(Filter, Cancel):
    pass


class Sweep(_Asked):
    repair: bool = Field(False, description="also queue again whatever no worker holds, and remove files without jobs")


class Refusal(_Answered):
    id: str
    error: str


class Changed(_Answered):
    matched: int
    changed: int
    refused: list[Refusal] = Field(description="the first 100")


class Swept(_Answered):
    outbox_rows: int
    folded: int
    dead_workers: int
    dead_letters: int
    repaired: int
    files: int
