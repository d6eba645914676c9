"""Push: job rows with their counts and an outbox row in one transaction per group, then tickets, then the outbox goes.

Ids are the caller's, so a push may be repeated: what is there already is reported, and what was promised is sent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from jobq.core import outbox
from jobq.core.erase import once_open
from jobq.core.existing import meet_existing
from jobq.core.files import check_stored
from jobq.core.groups import Group, grouped
from jobq.core.realm import Realm
from jobq.core.rows import INLINE_BYTES
from jobq.core.together import together
from jobq.core.transition import join, move
from jobq.errors import BadInput, Conflict, ReplyLost
from jobq.model.job import IfExists, Job, JobState, NewJob, Pushed, PushStatus
from jobq.model.names import lane_order, shard_of
from jobq.model.ticket import encode_ticket
from jobq.model.wire import MAX_SPEC_BYTES, checked_json, dumps, payload_to_json

WINDOW = 1000
"""Jobs whose rows are committed before their tickets are sent, so that a lane's tickets leave in push order."""

MAX_CHUNK = 1000


@dataclass(slots=True)
class _Stored:
    """What a window's transactions have done."""

    created: list[Job] = field(default_factory=list)
    existing: list[tuple[Job, Job]] = field(default_factory=list)
    """Jobs that were there: as asked, and as found."""
    promised: list[tuple[int, str, str]] = field(default_factory=list)
    """Outbox rows to delete when the tickets are sent: shard, key, etag."""
    answers: dict[str, Pushed] = field(default_factory=dict)


@dataclass(slots=True)
class Push:
    """One push: its name and its options."""

    realm: Realm
    batch: str
    if_exists: IfExists = IfExists.SKIP
    chunk: int = 1
    token: str = ""
    """Names this push in the rows it creates; one whose answer was lost is repeated with the same."""

    async def run(self, jobs: Sequence[NewJob]) -> list[Pushed]:
        """Store the jobs and answer for each, in the order given. What is answered as queued is durable.

        Raises BadInput, before anything is stored, for files that are not there, and IllegalTransition for a realm that
        is being deleted. Raises Unreachable when the backend does not answer: nothing before is lost, and the same push
        may be repeated.
        """
        self.token = self.token or self.realm.new_token()
        _check(jobs, self.chunk)
        lanes = {lane for job in jobs for lane in job.spec.lanes}
        await once_open(self.realm, lambda: self.realm.open_lanes(lanes))
        await check_stored(self.realm, {job.spec.files for job in jobs if job.spec.files})
        answers: dict[str, Pushed] = {}
        stored = _Stored()
        for start in range(0, len(jobs), WINDOW):
            following = _Stored()
            await together((self._store(jobs[start : start + WINDOW], following), self._send(stored)))
            stored = following
            answers |= stored.answers
        await self._send(stored)
        return [answers[job.id] for job in jobs]

    async def _store(self, window: Sequence[NewJob], stored: _Stored) -> None:
        """Commit the rows of a window."""
        await self.realm.check_open()  # a long push may meet the deletion of its realm
        by_shard: dict[int, list[Job]] = defaultdict(list)
        for new in window:
            by_shard[shard_of(new.id)].append(await self._row(new))
        groups = [group for jobs in by_shard.values() for group in grouped((job, move(None, job)) for job in jobs)]
        await together(self._store_group(group, stored) for group in groups)
        order = {new.id: position for position, new in enumerate(window)}
        stored.created.sort(key=lambda job: order[job.id])
        stored.answers |= {job.id: Pushed(job.id, PushStatus.QUEUED, JobState.QUEUED) for job in stored.created}
        stored.answers |= await meet_existing(self.realm, stored.existing, self.if_exists)

    async def _row(self, new: NewJob) -> Job:
        # A generation that is never used again: a ticket of a removed job must not pass for one of its successor's.
        generation = self.realm.random.randrange(1, 2**31)
        job = Job(new.id, self.batch, new.spec, generation=generation, push=self.token, pushed_at=self.realm.now())
        payload = dumps(payload_to_json(new.spec))
        if len(payload) <= INLINE_BYTES:
            return job
        key = f"payload/{self.realm.name}/{self.realm.new_token()}"
        await self.realm.stack.blobs.put(key, payload.encode())
        return replace(job, payload_blob=key)

    async def _store_group(self, group: Group, stored: _Stored) -> None:
        """Commit a group. After a refusal or a lost reply its rows are read: some are this push's, some were there."""
        while group:
            try:
                await self._create(group, stored)
                return
            except (Conflict, ReplyLost):
                rows = await self.realm.find_all(job.id for job, _ in group)
                for (job, _), row in zip(group, rows, strict=True):
                    if row and row.push == self.token and row.state is JobState.QUEUED and not row.claim:
                        stored.created.append(row)
                    elif row:
                        stored.existing.append((job, row))
                group = [pair for pair, row in zip(group, rows, strict=True) if row is None]

    async def _create(self, group: Group, stored: _Stored) -> None:
        jobs = [job for job, _ in group]
        promised = outbox.promise(self.realm, self.batch, self._promises(jobs), by=self.token)
        unit, firsts = join([unit for _, unit in group])
        etags = await self.realm.commit(unit.also(promised.change))
        stored.promised.append((unit.shard, promised.key, etags[-1]))
        stored.created += [replace(job, etag=etags[first]) for job, first in zip(jobs, firsts, strict=True)]

    def _promises(self, jobs: list[Job]) -> list[outbox.Promise]:
        lanes = {lane for job in jobs for lane in job.spec.lanes}
        return [
            (lane, tuple((job.id, job.generation) for job in chunk))
            for lane in sorted(lanes, key=lane_order)
            for chunk in _chunks([job for job in jobs if lane in job.spec.lanes], self.chunk)
        ]

    async def _send(self, stored: _Stored) -> None:
        """The tickets of a window, lane by lane and in push order; then its outbox rows go."""
        for lane in sorted({lane for job in stored.created for lane in job.spec.lanes}, key=lane_order):
            queue = self.realm.queue(lane)
            jobs = [job for job in stored.created if lane in job.spec.lanes]
            await queue.send(list(self._bodies(jobs, queue.limits.max_body_bytes)))
        await together(outbox.forget(self.realm, *row) for row in stored.promised)

    def _bodies(self, jobs: list[Job], max_bytes: int) -> Iterator[bytes]:
        """Tickets in push order; a chunk leaves when it is full, by jobs or by bytes."""
        if self.chunk == 1:
            yield from (outbox.ticket_body(self.realm, [job], max_bytes) for job in jobs)
            return
        open_chunks: dict[int, list[str]] = {}
        for job in jobs:
            entry = outbox.encode_for_ticket(job)
            chunk = open_chunks.setdefault(shard_of(job.id), [])
            if chunk and sum(map(len, chunk)) + len(chunk) + len(entry) + 64 > max_bytes:
                yield encode_ticket(self.realm.new_token(), chunk)
                chunk.clear()
            chunk.append(entry)
            if len(chunk) >= self.chunk:
                yield encode_ticket(self.realm.new_token(), chunk)
                chunk.clear()
        yield from (encode_ticket(self.realm.new_token(), chunk) for chunk in open_chunks.values() if chunk)


def _check(jobs: Sequence[NewJob], chunk: int) -> None:
    if not 1 <= chunk <= MAX_CHUNK:
        raise BadInput(f"a chunk is of 1 to {MAX_CHUNK} jobs, not {chunk}")
    seen: dict[str, int] = {}
    for index, job in enumerate(jobs):
        if job.id in seen:
            raise BadInput(f"job {index + 1} has the id {job.id!r} of job {seen[job.id] + 1}; ids are unique in a push")
        seen[job.id] = index


def check_payload(new: NewJob) -> int:
    """The size of its payload as JSON, in bytes.

    Raises BadInput for a job that is over the limit, or that could not be read back: one such row hides its list.
    """
    text = checked_json(payload_to_json(new.spec))
    if len(text) > MAX_SPEC_BYTES:
        raise BadInput(
            f"the job takes {len(text):,} bytes as JSON and {MAX_SPEC_BYTES:,} are the most; "
            "put the data in a file or blob"
        )
    return len(text)


def _chunks(jobs: list[Job], size: int) -> Iterator[list[Job]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]
