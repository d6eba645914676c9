"""W3C Trace Context: what ties a push to the attempts at its jobs, wherever they run."""

from __future__ import annotations

import re
from dataclasses import replace

from jobq.errors import BadInput
from jobq.model.job import Job

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(value: object) -> str:
    """The value, if it is one of version 00. Raises BadInput."""
    if isinstance(value, str) and _TRACEPARENT.fullmatch(value):
        return value
    raise BadInput("'traceparent' must be one of W3C Trace Context, 00-<32 hex digits>-<16 hex digits>-<2 hex digits>")


def carrying(job: Job, parent: str) -> Job:
    """The job as a part of that trace; as it is where there is none."""
    return replace(job, spec=replace(job.spec, traceparent=parent)) if parent else job
