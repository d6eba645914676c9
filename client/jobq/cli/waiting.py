"""`wait` on the command line: progress while it lasts, a sentence and a code at its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from jobq.cli.output import Progress, answer, answer_document, printable, say
from jobq.errors import JobsFailed, TimedOut
from jobq.waiting import Standing, Target, wait_for

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.cli.pushing import Pushing
    from jobq.core.documents import Document

_MAX_SHOWN = 5


def wait_and_say(backend: Backend, target: Target, timeout: timedelta | None, form: str = "table") -> int:
    """Raises TimedOut when it takes too long; 5 if a job failed or was cancelled."""
    progress = Progress()
    try:
        standing = wait_for(backend, target, timeout=timeout, on_look=lambda now: progress.show(in_words(now)))
    except TimedOut as error:
        progress.clear()
        raise TimedOut(f"{error}; they go on, and `jobq wait` can be repeated") from error
    finally:
        progress.clear()
    if form != "table":
        answer_document(standing.as_json(), form)
    else:
        say(in_words(standing))
        for job in _ended_badly(backend, target, standing):
            answer(f"job {job['id']} {how_it_ended(job)}")
    return JobsFailed.exit_code if standing.failed or standing.cancelled else 0


def wait_for_push(backend: Backend, pushing: Pushing) -> int:
    """For the jobs of a push: those that were there before may belong to other batches."""
    target = Target(ids=tuple(pushing.ids)) if pushing.counts["exists"] else Target(batch=pushing.batch)
    return wait_and_say(backend, target, None)


def in_words(standing: Standing) -> str:
    parts = [f"{standing.succeeded:,} of {standing.total:,} succeeded"]
    parts += [
        f"{number:,} {name}"
        for name, number in (
            ("failed", standing.failed),
            ("cancelled", standing.cancelled),
            ("running", standing.running),
            ("queued", standing.queued),
        )
        if number
    ]
    return ", ".join(parts)


def how_it_ended(job: Document) -> str:
    """`failed: exit 3 (attempt 2 of 2)`."""
    if job["state"] != "failed":
        return str(job["state"])
    reason = job["reason"] or "unknown"
    code = f" {job['exit_code']}" if job["exit_code"] is not None else ""
    tries = f" (attempt {job['attempts']} of {max(job['attempts'], job['num_retries'] + 1)})"
    message = f", {job['message']}" if job["message"] else ""
    return printable(f"failed: {reason}{code}{message}{tries}")


def _ended_badly(backend: Backend, target: Target, standing: Standing) -> list[Document]:
    from jobq.core.listing import Filter
    from jobq.model.job import JobState
    from jobq.reading import Pages

    if target.ids:
        jobs = [backend.job(job_id) for job_id in target.ids[:_MAX_SHOWN]]
        return [job for job in jobs if job["state"] in ("failed", "cancelled")]
    if not standing.failed:
        return []
    where = Filter(tag=target.tag, batch=target.batch, state=JobState.FAILED)
    return list(Pages(backend, where, _MAX_SHOWN))
