"""`jobq logs`: what a job has written, and, with `-f`, what it writes."""

from __future__ import annotations

import time

import click

from jobq.backend import Backend
from jobq.cli.output import answer_bytes, say
from jobq.cli.params import JOB_ID, option, verbose_option
from jobq.cli.session import Session

_FINAL = ("succeeded", "failed", "cancelled")
_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Between looks that found nothing new."""


@click.command("logs")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@option("-f", "--follow", is_flag=True, help="Go on until the job has ended, through its retries.")
@option("--attempt", type=click.IntRange(1), help="Of this attempt; the last one by default.")
@option("--tail", type=click.IntRange(0), help="Only the last so many lines.")
@verbose_option
@click.pass_obj
def command(session: Session, job_id: str, follow: bool, attempt: int | None, tail: int | None) -> None:
    """Print the output of a job.

    \b
    Example:
      jobq logs 06by3kq1v0hm-000017 -f
    """
    with session.backend() as backend:
        if follow:
            _follow(backend, job_id, attempt, tail)
            return
        data = backend.log(job_id, attempt=attempt)
        if not data and backend.job(job_id)["attempts"] == 0:
            say(f"job {job_id} has not started yet; -f waits for it")
        answer_bytes(_last_lines(data, tail))


def _follow(backend: Backend, job_id: str, attempt: int | None, tail: int | None) -> None:
    """The attempt's output as it grows; without one given, that of every further attempt too."""
    wanted, start, quiet = attempt or 0, 0, 0
    while True:
        job = backend.job(job_id)
        wanted = wanted or job["attempts"]
        data = backend.log(job_id, attempt=wanted, start=start) if 0 < wanted <= job["attempts"] else b""
        start += len(data)
        answer_bytes(_last_lines(data, tail))
        if data:
            tail = None
        is_over = job["state"] in _FINAL or job["attempts"] > wanted
        if is_over and (attempt or job["attempts"] <= wanted):
            return
        if is_over:
            wanted, start = wanted + 1, 0
            say(f"attempt {wanted}:")
        quiet = 0 if data else min(quiet + 1, len(_PAUSES) - 1)
        time.sleep(_PAUSES[quiet])


def _last_lines(data: bytes, count: int | None) -> bytes:
    if count is None:
        return data
    return b"".join(data.splitlines(keepends=True)[-count:]) if count else b""
