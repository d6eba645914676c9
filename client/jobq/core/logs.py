"""An attempt's output: one blob per attempt that wrote something, and beside one that grew for long, when it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.realm import Realm
from jobq.errors import NotFound
from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Job
from jobq.model.names import path_part

TIMES = ".times"
"""Added to a log's key, the key of its times."""
MOST_TIMES = 500
PAST_THE_END = 2**40
"""Of any log: they are capped far below."""


def log_key(realm: str, job_id: str, attempt: int) -> str:
    return f"log/{realm}/{path_part(job_id)}/{attempt:04d}"


def times_key(realm: str, job_id: str, attempt: int) -> str:
    return log_key(realm, job_id, attempt) + TIMES


@dataclass(slots=True)
class LogTimes:
    """How much of an output had come at some times, up to the beginning of a line: the output itself has no times.

    Never more than MOST_TIMES: then every second one is dropped, and they are noted half as often from there on.
    """

    times: list[tuple[datetime, int]] = field(default_factory=list)
    is_changed: bool = False
    """Since it was last encoded."""
    _gap: timedelta = timedelta(0)

    @classmethod
    def decode(cls, data: bytes) -> LogTimes:
        words = (line.split() for line in data.decode().splitlines())
        return cls([(from_iso(time), int(size)) for time, size in words])

    def encoded(self) -> bytes:
        """A line for each: the time, and how many bytes had come."""
        self.is_changed = False
        return "".join(f"{to_iso(time)} {size}\n" for time, size in self.times).encode()

    def note(self, now: datetime, size: int) -> None:
        if self.times and now - self.times[-1][0] < self._gap:
            return
        self.times.append((now, size))
        self.is_changed = True
        if len(self.times) > MOST_TIMES:
            self.times = self.times[::2]
            self._gap = 2 * (now - self.times[0][0]) / MOST_TIMES

    def size_at(self, moment: datetime) -> int:
        """What had surely come by then."""
        return max((size for time, size in self.times if time <= moment), default=0)


async def read_log(realm: Realm, job: Job, *, attempt: int | None = None, start: int = 0) -> bytes:
    """The output of an attempt (the last by default) from a byte on; b"" where there is none yet.

    Raises NotFound for an attempt that was never started.
    """
    _check(job, attempt)
    key = log_key(realm.name, job.id, attempt) if attempt is not None else job.log
    key = key or log_key(realm.name, job.id, job.attempt)
    return await realm.stack.blobs.get(key, start=start) or b""


async def log_start(realm: Realm, job: Job, *, since: datetime, attempt: int | None = None) -> int:
    """The byte of an attempt's output from which on it came since then, PAST_THE_END where none did.

    Never too late; too early by half a minute or, if that is more, by a two-hundredth of the time that it took. By the
    clock of the machine that ran it. Raises NotFound.
    """
    _check(job, attempt)
    attempt = job.attempt if attempt is None else attempt
    ended = job.started_at if attempt < job.attempt else job.ended_at
    if ended and since > ended:
        return PAST_THE_END
    data = await realm.stack.blobs.get(times_key(realm.name, job.id, attempt))
    return LogTimes.decode(data).size_at(since) if data else 0


def _check(job: Job, attempt: int | None) -> None:
    if attempt is not None and not 1 <= attempt <= job.attempt:
        raise NotFound(f"job {job.id} has no attempt {attempt}; it has started {job.attempt}")
