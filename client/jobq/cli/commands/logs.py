"""`jobq logs`: what a job has written, and, with `-f`, what it writes."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime

import click

from jobq.backend import Backend
from jobq.cli.output import answer_bytes, say
from jobq.cli.params import JOB_ID, MOMENT, PATTERN, option, verbose_option
from jobq.cli.session import Session

_FINAL = ("succeeded", "failed", "cancelled")
_PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Between looks that found nothing new."""


@click.command("logs")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@option("-f", "--follow", is_flag=True, help="Go on until the job has ended, through its retries.")
@option("--attempt", type=click.IntRange(1), help="Of this attempt; the last one by default.")
@option("--tail", type=click.IntRange(0), help="Only the last so many lines.")
@option(
    "--since", type=MOMENT, help="Only what came since then: 10m ago, or 2026-01-31T09:00Z. To about half a minute."
)
@option("--grep", type=PATTERN, help="Only lines in which this regular expression is found.")
@verbose_option
@click.pass_obj
def command(
    session: Session,
    job_id: str,
    follow: bool,
    attempt: int | None,
    tail: int | None,
    since: datetime | None,
    grep: re.Pattern[bytes] | None,
) -> None:
    """Print the output of a job.

    \b
    Example:
      jobq logs 06by3kq1v0hm-000017 -f
    """
    lines = Lines(tail, grep)
    with session.backend() as backend:
        if follow:
            _follow(backend, job_id, attempt, lines, since)
            return
        start = 0
        if since:
            attempt = attempt or backend.job(job_id)["attempts"] or None
            start = backend.log_start(job_id, since=since, attempt=attempt)
        data = backend.log(job_id, attempt=attempt, start=start)
        if not data and backend.job(job_id)["attempts"] == 0:
            say(f"job {job_id} has not started yet; -f waits for it")
        answer_bytes(lines.chosen(data, is_end=True))


@dataclass(slots=True)
class Lines:
    """Which lines of what comes in pieces are wanted."""

    tail: int | None
    """So many of the first piece that there is; all of the others."""
    grep: re.Pattern[bytes] | None
    _begun: bytes = b""
    """The beginning of a line; kept only where it matters what else is in the line."""

    def chosen(self, data: bytes, *, is_end: bool = False) -> bytes:
        if self.grep is None:
            return self._last(data.splitlines(keepends=True)) if self.tail is not None and data else data
        *whole, begun = (self._begun + data).split(b"\n")
        found = [line + b"\n" for line in whole if self.grep.search(line)]
        if is_end and begun and self.grep.search(begun):
            found.append(begun)
        self._begun = b"" if is_end else begun
        return self._last(found) if found else b""

    def _last(self, lines: list[bytes]) -> bytes:
        count, self.tail = self.tail, None
        return b"".join(lines if count is None else lines[-count:] if count else [])


def _follow(backend: Backend, job_id: str, attempt: int | None, lines: Lines, since: datetime | None) -> None:
    """The attempt's output as it grows; without one given, that of every further attempt too."""
    wanted, start, quiet = attempt or 0, 0, 0
    while True:
        job = backend.job(job_id)
        wanted = wanted or job["attempts"]
        has_started = 0 < wanted <= job["attempts"]
        if since and has_started:
            start, since = backend.log_start(job_id, since=since, attempt=wanted), None
        data = backend.log(job_id, attempt=wanted, start=start) if has_started else b""
        start += len(data)
        is_over = job["state"] in _FINAL or job["attempts"] > wanted
        answer_bytes(lines.chosen(data, is_end=is_over))
        if is_over and (attempt or job["attempts"] <= wanted):
            return
        if is_over:
            wanted, start = wanted + 1, 0
            say(f"attempt {wanted}:")
        quiet = 0 if data else min(quiet + 1, len(_PAUSES) - 1)
        time.sleep(_PAUSES[quiet])
