"""What callers send, as the OpenAPI document shows it. Keys are added, never renamed; unknown ones are refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from jobq.model.job import IfExists, JobState
from jobq_service.submissions import MAX_JOBS


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


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


class AskedFiles(_Asked):
    names: list[str] = Field([], max_length=MAX_JOBS, description="of manifests and pieces: `yyyymm-` and a SHA-256")


class Pause(_Asked):
    lane: str | int | None = Field(None, description="this lane only; the whole realm without one")


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
