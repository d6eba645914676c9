"""What a failed job has in common with others: the last line it wrote, less what differs from run to run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from jobq.errors import BadInput
from jobq.model.job import Job, JobState

LINE_CHARS = 200
KEY = re.compile(r"[0-9a-f]{12}")

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_VARYING = re.compile(
    r"""
    \b0x[0-9a-f]+\b                               # an address
  | \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b  # a UUID
  | \b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b  # a hash
  | \d+(?:[.,:]\d+)*                              # numbers and times
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Error:
    """How a job failed, the same for all that failed alike."""

    key: str
    """12 hex digits."""
    line: str
    """For people, as `exit: CUDA out of memory. Tried to allocate # GiB`; at most LINE_CHARS characters."""


def error_key(text: str) -> str:
    """The key of an `Error`. Raises BadInput for what is none."""
    if KEY.fullmatch(text):
        return text
    raise BadInput(f"{text[:40]!r} is not the fingerprint of an error: that is 12 hex digits")


def error_of(job: Job) -> Error | None:
    """None for a job that has not failed."""
    if job.state is not JobState.FAILED:
        return None
    reason = job.reason.value if job.reason else "failed"
    line = f"{reason}: {_last_line(job)}"[:LINE_CHARS]
    return Error(hashlib.sha256(line.encode()).hexdigest()[:12], line)


def _last_line(job: Job) -> str:
    """Of the output, or else of what was said of the end, without what varies; or else the exit code."""
    for text in (job.tail, job.message):
        lines = [" ".join(line.split()) for line in _ESCAPES.sub("", text).splitlines()]
        if said := [line for line in lines if line]:
            return _VARYING.sub("#", said[-1])
    return "no output" if job.exit_code is None else f"no output, exit code {job.exit_code}"
