"""A job: what was asked (`Spec`), where it stands (`Job`), and how a try of it ended (`Outcome`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

from jobq.model.names import DEFAULT_LANE
from jobq.model.retry import DEFAULT_BACKOFF, Backoff

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (JobState.QUEUED, JobState.RUNNING)


class Reason(StrEnum):
    """How an attempt ended when it was not `ok`."""

    EXIT = "exit"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OOM = "oom"
    UPLOAD = "upload"
    LOST = "lost"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    UNDECODABLE = "undecodable"


FAILURES = frozenset({Reason.EXIT, Reason.SIGNAL, Reason.TIMEOUT, Reason.OOM, Reason.UPLOAD})
"""The reasons that use up a job's retries."""


@dataclass(frozen=True, slots=True)
class Limits:
    retries: int = 0
    """Further tries after the first failure."""
    crashes: int = 3
    """Lost workers a job survives; one more ends it."""
    preemptions: int = 1000
    timeout: timedelta | None = None
    """Of one attempt."""
    backoff: Backoff = DEFAULT_BACKOFF
    retry_on: tuple[str, ...] = ()
    """Failures worth a retry, as `oom` or `exit:75`; empty: all."""
    no_retry_on: tuple[str, ...] = ()
    """Ends after which there is no further try, a lost worker and a preemption among them."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Spec:
    """What was asked: a shell command, or keyword arguments for a Python callable. Never both."""

    command: str | None = None
    kwargs: Mapping[str, Json] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    lanes: tuple[str, ...] = (DEFAULT_LANE,)
    limits: Limits = DEFAULT_LIMITS
    outputs: str = ""
    """Where what the job writes to its output directory is copied: see `model.outputs`."""
    traceparent: str = ""
    """The trace that its attempts continue, as W3C Trace Context has it; empty where nobody traces."""
    files: str = ""
    """The stored name of the manifest of the files that are in its directory when it starts; see `model.files`."""

    @property
    def title(self) -> str:
        """One line for a list."""
        if self.command is not None:
            return " ".join(self.command.split())
        return ", ".join(f"{key}={value!r}" for key, value in (self.kwargs or {}).items())


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job says it is."""

    fraction: float | None
    """From 0 to 1; None where it says only a text."""
    text: str = ""

    @classmethod
    def parse(cls, written: str) -> Progress | None:
        """The last whole line: a number, a text, or both, as in `0.4 epoch 12` or `40%`. None for nothing."""
        lines = [line for line in written.split("\n") if line.strip()]
        if not lines:
            return None
        first, _, rest = lines[-1].strip().partition(" ")
        try:
            fraction = float(first.removesuffix("%")) / (100 if first.endswith("%") else 1)
        except ValueError:
            return cls(None, lines[-1].strip()[:PROGRESS_CHARS])
        return cls(min(1.0, max(0.0, fraction)) if fraction == fraction else None, rest.strip()[:PROGRESS_CHARS])


PROGRESS_CHARS = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended; `reason` None means ok."""

    reason: Reason | None = None
    exit_code: int | None = None
    message: str = ""
    """Why, in words, where the exit code does not say it."""
    tail: str = ""
    """The last lines of output, at most TAIL_CHARS characters."""
    result: Json = None
    seconds: float = 0.0
    log: str = ""
    """Key of the blob that holds the attempt's output; empty when it wrote nothing."""

    @property
    def is_ok(self) -> bool:
        return self.reason is None


TAIL_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One of a job's, as it is remembered or as the job tells of it; see `model.attempts`."""

    number: int
    started_at: datetime | None
    ended_at: datetime | None
    """None while it runs."""
    seconds: float
    """That it took; 0 where nobody could say."""
    worker: str
    reason: Reason | None
    exit_code: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row, read. Every step back to queued raises `generation`; `claim` names the last claim."""

    id: str
    batch: str
    spec: Spec
    etag: str = ""
    state: JobState = JobState.QUEUED
    generation: int = 1
    claim: str = ""
    message_id: str = ""
    delivery: int = 0
    next_ticket: str = ""
    push: str = ""
    """Names the push that created the row, so that it can tell its own rows after a lost reply."""
    attempt: int = 0
    """Tries started."""
    tries: Mapping[Reason, int] = field(default_factory=dict)
    """Tries ended, by reason."""
    past: tuple[Attempt, ...] = ()
    """Attempts that ended while the job went on: the first and the last ones."""
    cancel_requested: bool = False
    remove_requested: bool = False
    payload_blob: str = ""
    """Key of the blob that holds command, arguments and environment, when they are large."""
    worker: str = ""
    reason: Reason | None = None
    exit_code: int | None = None
    message: str = ""
    tail: str = ""
    result: Json = None
    result_blob: str = ""
    log: str = ""
    seconds: float = 0.0
    pushed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    due_at: datetime | None = None
    """When a queued retry may start."""

    @property
    def failures(self) -> int:
        return sum(count for reason, count in self.tries.items() if reason in FAILURES)

    def tried(self, reason: Reason) -> Mapping[Reason, int]:
        """The tries with one more of that reason."""
        return {**self.tries, reason: self.tries.get(reason, 0) + 1}

    def moved_to(self, state: JobState, **fields: object) -> Job:
        return replace(self, state=state, **fields)  # type: ignore[arg-type]  # checked by the dataclass's own fields


@dataclass(frozen=True, slots=True)
class NewJob:
    """One job of a push."""

    id: str
    spec: Spec


class IfExists(StrEnum):
    SKIP = "skip"
    ERROR = "error"
    RERUN_FAILED = "rerun-failed"
    REPLACE = "replace"
    ADD = "add"
    """Add the tags and lanes to the job that is there; queue it again if it has ended; refuse other data."""


class PushStatus(StrEnum):
    QUEUED = "queued"
    EXISTS = "exists"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of one job of a push, in the order given."""

    id: str
    status: PushStatus
    state: JobState
    """Of the row, after the push."""
    error: str = ""
