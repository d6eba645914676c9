"""What a job remembers of its attempts: one record for each that ended while the job went on, at most KEPT of them.

The last attempt is none of these: the job itself tells of it. So a job that ends with its first one remembers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Attempt, Job, JobState, Reason
from jobq.model.wire import dumps

KEPT = 19
"""With the last one, 20 are shown. Their JSON, in ASCII, is below the 32 Ki units of a text column."""
FIRST = 9
"""Of those that are kept, the first ones; the others are the last ones."""
MESSAGE_CHARS = 100
WORKER_CHARS = 80


def attempts_of(job: Job) -> tuple[Attempt, ...]:
    """Those that are remembered, then the last one, which runs or has ended the job; oldest first."""
    is_told = job.attempt > (job.past[-1].number if job.past else 0)
    return (*job.past, _last(job)) if is_told and job.state is not JobState.QUEUED else job.past


def remembered(job: Job, **ended: Any) -> tuple[Attempt, ...]:
    """What the job remembers when it goes on after its last attempt, which `ended` so: fields of the job."""
    attempts = attempts_of(replace(job, **ended))
    return attempts if len(attempts) <= KEPT else attempts[:FIRST] + attempts[FIRST - KEPT :]


def attempts_to_json(attempts: Sequence[Attempt]) -> str:
    """Empty for none."""
    return dumps([_to_json(attempt) for attempt in attempts]) if attempts else ""


def attempts_from_json(values: Sequence[Sequence[Any]]) -> tuple[Attempt, ...]:
    return tuple(_from_json(*each) for each in values)


def _last(job: Job) -> Attempt:
    return Attempt(
        number=job.attempt,
        started_at=job.started_at,
        ended_at=job.ended_at,
        seconds=job.seconds,
        worker=job.worker[:WORKER_CHARS],
        reason=job.reason,
        exit_code=job.exit_code,
        message=job.message[:MESSAGE_CHARS],
    )


def _to_json(attempt: Attempt) -> list[Any]:
    times = [to_iso(moment) if moment else "" for moment in (attempt.started_at, attempt.ended_at)]
    reason = attempt.reason.value if attempt.reason else ""
    how = [attempt.seconds, attempt.worker, reason, attempt.exit_code, attempt.message]
    return [attempt.number, *times, *how]


def _from_json(
    number: int,
    started: str,
    ended: str,
    seconds: float,
    worker: str,
    reason: str,
    exit_code: int | None,
    message: str,
) -> Attempt:
    return Attempt(
        number=number,
        started_at=from_iso(started) if started else None,
        ended_at=from_iso(ended) if ended else None,
        seconds=seconds,
        worker=worker,
        reason=Reason(reason) if reason else None,
        exit_code=exit_code,
        message=message,
    )
