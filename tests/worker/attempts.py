"""One attempt at a command, outside of any queue."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from jobq.adapters.folder import MemoryBlobs
from jobq.model.job import Job, Limits, Spec
from jobq.worker.attempt import Attempt, Program
from jobq.worker.output import Output
from jobq.worker.supervision import Supervision

KEY = "log/demo/j1/0001"


def attempt_at(
    command: str,
    supervision: Supervision,
    *,
    blobs: MemoryBlobs | None = None,
    timeout: timedelta | None = None,
    grace: float = 5.0,
) -> Attempt:
    job = Job("j1", "b", Spec(command=command, limits=Limits(timeout=timeout)))
    output = Output(blobs or MemoryBlobs(), KEY, b"[j1] ", None)
    return Attempt(job, output, timedelta(seconds=grace), supervision)


def bash(command: str) -> Program:
    return Program(["bash", "-c", command], {"PATH": os.environ["PATH"]})


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
