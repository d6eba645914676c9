"""How long jobs have waited, and how many workers it takes to run them: for monitoring, and for what starts workers.

At a cost that does not grow with the number of jobs: counters, workers' rows, and the few tickets next in line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from jobq.core.ports import Waiting
from jobq.core.realm import Realm, is_paused
from jobq.core.status import RealmStatus, status_without_batches
from jobq.core.together import together
from jobq.core.workers import believed_until, running_ids
from jobq.errors import BadInput, NotFound
from jobq.model.job import Job
from jobq.model.names import is_up_to
from jobq.model.ticket import Entry, decode_ticket

MOST_TICKETS = 32
"""Of one lane that are looked at."""
SPARE_TICKETS = 4
"""Looked at beyond those of running jobs: a job that was cancelled or removed leaves its ticket to the next worker."""


@dataclass(frozen=True, slots=True)
class RealmBacklog:
    status: RealmStatus
    """Without batches, of which there may be many."""
    oldest: Mapping[str, timedelta]
    """By lane: how long the job has waited that is next in line. Lanes in which none is seen to wait are not in it."""


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do for workers. A job counts once, however many lanes it is in."""

    waiting: int
    """In lanes that are not paused; delayed retries among them."""
    running: int
    oldest: timedelta | None
    """How long has waited what waits longest; None where nothing is seen to wait."""


async def realm_backlog(realm: Realm) -> RealmBacklog:
    """10 reads; and for each lane with waiting jobs one look at its queue, and mostly one read of a job's row.

    More rows are read where tickets are in front whose jobs do not wait: MOST_TICKETS at most.
    """
    status, rows = await status_without_batches(realm)
    held, believed = running_ids(rows, realm.now()), {row.key: believed_until(row) for row in rows}
    waiting = {lane: tally for lane, tally in status.lanes.items() if tally.queued}

    async def oldest_in(lane: str) -> timedelta | None:
        few = min(MOST_TICKETS, waiting[lane].running + SPARE_TICKETS)
        try:
            first = (await realm.queue(lane).look(few)).first
        except NotFound:
            return None  # its queue is not there: the counts are true all the same
        for job_id, age in islice(_jobs_of(first, held), few):
            how_long = waited(await realm.find(job_id), age, realm.now(), believed)
            if how_long is not None:
                return how_long
        return None

    ages = await together(map(oldest_in, waiting))
    return RealmBacklog(status, {lane: age for lane, age in zip(waiting, ages, strict=True) if age is not None})


def waited(job: Job | None, age: timedelta, now: datetime, believed: Mapping[str, datetime]) -> timedelta | None:
    """How long the job of a ticket of that age has waited; None for one that does not wait, or not yet.

    It does so since the ticket was sent, its last attempt was over, its retry was due, or its worker was believed last:
    `believed` says until when that is or was, by worker.
    """
    if job is None or job.state.is_final:
        return None
    moments = [now - age, job.due_at, believed.get(job.worker)]
    if job.started_at:
        moments.append(job.started_at + timedelta(seconds=job.seconds))
    since = max(moment for moment in moments if moment)
    return now - since if since <= now else None


def load_of(backlog: RealmBacklog, max_lane: str | None = None) -> Load:
    """Of the lanes up to `max_lane`, or of all."""
    status, whole = backlog.status, backlog.status.realm.as_json()
    counts = {lane: tally.as_json() for lane, tally in status.lanes.items() if is_up_to(lane, max_lane)}
    taken_from = [lane for lane in counts if not is_paused(lane, status.paused)]
    return Load(
        waiting=min(whole["queued"], sum(counts[lane]["queued"] for lane in taken_from)),
        running=min(whole["running"], sum(count["running"] for count in counts.values())),
        oldest=max((backlog.oldest[lane] for lane in taken_from if lane in backlog.oldest), default=None),
    )


def wanted_workers(load: Load, *, jobs_per_worker: int = 1, least: int = 0, most: int | None = None) -> int:
    """As many as it takes to run at once what waits and runs, from `least` to `most`. Raises BadInput."""
    if most is not None and most < least:
        raise BadInput(f"at least {least} workers and at most {most} cannot both be; let max be min or more")
    wanted = -(-(load.waiting + load.running) // jobs_per_worker)
    return max(least, wanted if most is None else min(most, wanted))


def _jobs_of(first: Sequence[Waiting], held: set[str]) -> Iterator[tuple[str, timedelta]]:
    """The jobs in the tickets, less those that are held, each with its ticket's age."""
    for message in first:
        for entry in _entries(message.body):
            if entry.job_id not in held:
                yield entry.job_id, message.age


def _entries(body: bytes) -> tuple[Entry, ...]:
    try:
        return decode_ticket(body).entries
    except BadInput:
        return ()  # its end is for a worker to record
