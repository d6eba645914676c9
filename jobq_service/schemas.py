"""What is answered, as the OpenAPI document shows it. Keys are added, never renamed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobq.model.job import JobState, PushStatus, Reason


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


class PushedJob(_Answered):
    id: str
    status: PushStatus
    state: JobState
    error: str | None = None


class Pushed(_Answered):
    batch: str
    results: list[PushedJob] = Field(description="in the order of the jobs")


class PushedJobOf(_Answered):
    realm: str
    id: str
    status: PushStatus
    state: JobState | None = Field(description="null where its whole realm refused")
    error: str | None = None


class PushedAcross(_Answered):
    batch: str
    results: list[PushedJobOf] = Field(description="in the order of the jobs")


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
    paused: list[str] = Field(description="lanes, or `*` for the whole realm")
    lanes: dict[str, Counts]
    tags: dict[str, Counts]
    batches: dict[str, Counts]


class RealmTotal(Counts):
    realm: str


class LaneCounts(Counts):
    lane: str


class TagCounts(Counts):
    tag: str


class BatchCounts(Counts):
    batch: str
    preempted: int = Field(description="attempts that ended so")
    pushed_at: str | None
    per_minute: float | None = Field(description="jobs that ended, over the last ten minutes; null: not known")
    eta_seconds: list[int] | None = Field(description="the soonest and the latest that all may have ended")


class Failure(_Answered):
    error: str = Field(description="12 hex digits that name how jobs failed")
    line: str = Field(description="the reason, and the last line of output with `#` for what varies")
    jobs: int = Field(description="failed ones, now")


class Durations(_Answered):
    bounds: list[int] = Field(description="seconds")
    counts: list[int] = Field(description="runs that took up to each bound and over the one before; last, all longer")


class Rates(_Answered):
    succeeded: float | None
    failed: float | None
    preempted: float | None = Field(description="attempts")


class Summary(_Answered):
    """Nothing in it changes while nothing happens."""

    realm: str
    counts: Counts
    workers: int = Field(description="live ones")
    slots: int = Field(description="jobs that they can run at the same time")
    paused: list[str] = Field(description="lanes, or `*` for the whole realm")
    lanes: list[LaneCounts] = Field(description="lowest first")
    tags: list[TagCounts] = Field(description="by name")
    more_tags: bool
    batches: list[BatchCounts] = Field(description="at most 50, newest first; those with jobs left before the others")
    more_batches: bool
    failures: list[Failure] = Field(description="at most 50, most jobs first")
    more_failures: bool
    durations: Durations = Field(description="of all runs that ever succeeded")
    per_minute: Rates = Field(description="over the last ten minutes; null: not known")
    eta_seconds: list[int] | None = Field(description="the soonest and the latest that all may have ended")


class Point(_Answered):
    at: str = Field(description="the end of the step")
    succeeded: int = Field(description="in the step")
    failed: int = Field(description="in the step")
    preempted: int = Field(description="attempts, in the step")
    waiting: int = Field(description="at its end")
    running: int = Field(description="at its end")
    workers: int = Field(description="at its end")


class History(_Answered):
    realm: str
    step: int = Field(description="seconds")
    points: list[Point] = Field(description="oldest first, at most 180; steps that nobody saw are left out")


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


class Attempt(_Answered):
    attempt: int
    started_at: str | None
    ended_at: str | None = Field(description="null while it runs; of one that was lost, when that was noticed")
    seconds: float | None = Field(description="that it took; null where nobody could say, and while it runs")
    worker: str | None
    reason: Reason | None = Field(description="null while it runs, and when it was `ok`")
    exit_code: int | None
    message: str | None = Field(description="the first 100 characters")


class Job(_Answered):
    id: str
    batch: str
    state: JobState
    reason: str | None
    exit_code: int | None
    attempts: int
    attempt_list: list[Attempt] = Field(description="oldest first: the first and the last ones, at most 20")
    tags: list[str]
    lanes: list[str]
    files: str | None
    progress: Progress | None = Field(None, description="of a running job that tells")
    output_tail: str
    result: Any = None


class Jobs(_Answered):
    jobs: list[Job]
    next: str | None = Field(description="pass as `after` for the following page; null at the end")


class JobCount(_Answered):
    count: int = Field(description="of those that were looked at; add up until `next` is null")
    next: str | None = Field(description="pass as `after` to go on; null at the end")


class JobFile(_Answered):
    path: str = Field(description="in the job's directory")
    size: int = Field(description="bytes")
    executable: bool


class JobFiles(_Answered):
    files: list[JobFile] = Field(description="the first 1,000, by path")
    total: int


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


class Paused(_Answered):
    realm: str
    paused: list[str] = Field(description="lanes, or `*` for the whole realm")


class Refusal(_Answered):
    id: str
    error: str


class Changed(_Answered):
    matched: int
    changed: int
    refused: list[Refusal] = Field(description="the first 100")
    next: str | None = Field(description="not done yet: ask again with this as `after`; null at the end")


class Swept(_Answered):
    outbox_rows: int
    folded: int
    dead_workers: int
    dead_letters: int
    repaired: int
    files: int


class Removed(StrEnum):
    REMOVED = "removed"
    ASKED = "asked"
    """It runs: its worker is asked to end it, and then it goes."""
    REFUSED = "refused"


class RemovedJob(_Answered):
    realm: str
    id: str
    status: Removed
    error: str | None = None


class RemovedAcross(_Answered):
    results: list[RemovedJob] = Field(description="in the order of the jobs")


class Settings(_Answered):
    realm: str
    lanes: list[str] = Field(description="lowest first")
    lease: float | None = Field(description="seconds; null where none was set: 10 minutes")
    lane_leases: dict[str, float] = Field(description="of lanes that have one of their own, seconds")
    paused: list[str] = Field(description="lanes, or `*` for the whole realm")
    created_at: str | None
    deleting: bool


class Deleting(_Answered):
    realm: str
    deleting: bool


class CheckedOutJob(_Answered):
    realm: str
    id: str
    token: str = Field(description="what `ack`, `nack` and `extend` need")
    lane: str = Field(description="it was taken from")
    command: str | None
    kwargs: dict[str, Any] | None
    data: Any = Field(description="the command, the arguments, or what was pushed as `data`")
    env: dict[str, str]
    files: str | None = Field(description="the name of its manifest, below `files` of its realm")
    tags: list[str]
    attempt: int
    timeout: float | None = Field(description="seconds that the attempt may take")
    cancel_requested: bool = Field(description="somebody wants it to end: stop, and give it back")
    lease: float = Field(description="seconds")
    expires_at: str = Field(description="when anybody else may take it")


class CheckedOut(_Answered):
    jobs: list[CheckedOutJob] = Field(description="from the lowest lane on; empty where nothing waits")
