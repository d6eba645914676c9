"""The job that the running code belongs to: a process of its own, or one of the calls that share an event loop."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jobq.errors import NotFound
from jobq.settings import inherited_environment
from jobq.worker.directory import JobDirectory

CURRENT: ContextVar[CurrentJob | None] = ContextVar("jobq_current_job", default=None)
"""Of a call that shares its process with others; elsewhere the environment says it."""


def current_job() -> CurrentJob:
    """What the caller's own job is. Raises NotFound in a process that is no job's."""
    if job := CURRENT.get():
        return job
    env = inherited_environment()
    if "JOBQ_JOB_ID" not in env or "JOBQ_RESULT" not in env:
        raise NotFound("no job is running here: current_job() is for code that a worker has started")
    return CurrentJob(env)


@dataclass(frozen=True, slots=True)
class CurrentJob:
    env: Mapping[str, str] = field(repr=False)
    """Its `JOBQ_*` variables, among others: in a shared process they are not in `os.environ`."""

    @property
    def id(self) -> str:
        return self.env["JOBQ_JOB_ID"]

    @property
    def attempt(self) -> int:
        """From 1."""
        return int(self.env["JOBQ_ATTEMPT"])

    @property
    def deadline(self) -> datetime | None:
        """When its `--timeout` is over."""
        seconds = self.env.get("JOBQ_DEADLINE")
        return datetime.fromtimestamp(int(seconds), UTC) if seconds else None

    @property
    def directory(self) -> Path:
        """Its own, empty at first, gone when it ends. A process of its own is started there; a shared one is not."""
        return JobDirectory(Path(self.env["JOBQ_RESULT"]).parent).work

    @property
    def is_preempted(self) -> bool:
        """Whether it was told to stop because its machine goes."""
        return Path(self.env["JOBQ_PREEMPTED"]).exists()

    def progress(self, fraction: float | None = None, text: str = "") -> None:
        """Tell how far it is: a fraction from 0 to 1, a text, or both."""
        told = ([] if fraction is None else [f"{fraction:.6g}"]) + text.split()
        with Path(self.env["JOBQ_PROGRESS"]).open("a") as file:
            file.write(" ".join(told) + "\n")
