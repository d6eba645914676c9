"""A stack that looks at every commit as it is applied, and fails the test at the first one no job may make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jobq.core.ports import BlobStore, Change, ChangeKind, Row, Stack, Table, TicketQueue
from jobq.core.realm import Realm
from jobq.core.rows import REALMS, job_of
from jobq.model.job import Job, JobState, Reason
from tests.proof.world import ever_of


class Ledger:
    """Wraps what the actors share. `accepted` counts ends by job and claim id: one each at most."""

    def __init__(self, stack: Stack) -> None:
        self.address, self.tables = stack.address, stack.tables
        self.blobs: BlobStore = stack.blobs
        self._stack = stack
        self.table: Table = _LedgerTable(stack.table, self)
        self.started: Counter[tuple[str, str]] = Counter()
        """How often a job became running under a claim id."""
        self.accepted: Counter[tuple[str, str]] = Counter()
        self.runs: Counter[str] = Counter()
        """Claims by job."""
        self.ever: Counter[str] = Counter()
        """What has happened, in the words of `Ever`."""

    def queue(self, name: str) -> TicketQueue:
        return self._stack.queue(name)

    async def close(self) -> None:
        await self._stack.close()

    async def check_ever(self, realm: Realm) -> None:
        """The counters that only go up say what has happened, once, whatever was killed, lost, folded or removed."""
        ever = await ever_of(realm)
        counted = {"failed": ever.failed, "preempted": ever.preempted, "lost": ever.lost, "succeeded": ever.succeeded}
        assert {name: count for name, count in counted.items() if count} == dict(self.ever)

    def note(self, before: Job | None, after: Job | None) -> None:
        self._note_ever(before, after)
        if before is None:
            assert after is None or after.state is not JobState.RUNNING, "a job was created running"
            return
        if after is not None:
            _check_step(before, after)
        if after is not None and after.state is JobState.RUNNING and after.claim != before.claim:
            self.started[after.id, after.claim] += 1
            self.runs[after.id] += 1
            assert self.started[after.id, after.claim] == 1, f"claim {after.claim} was made twice"
        if before.state is JobState.RUNNING and (after is None or after.state is not JobState.RUNNING):
            self.accepted[before.id, before.claim] += 1
            assert self.accepted[before.id, before.claim] == 1, f"two ends of claim {before.claim} were accepted"

    def _note_ever(self, before: Job | None, after: Job | None) -> None:
        if after is None:
            return
        old = before.state if before else None
        for state in (JobState.SUCCEEDED, JobState.FAILED):
            if after.state is state and old is not state:
                self.ever[state.value] += 1
        for reason in (Reason.PREEMPTED, Reason.LOST):
            if before and after.tries.get(reason, 0) > before.tries.get(reason, 0):
                self.ever[reason.value] += 1


def _check_step(before: Job, after: Job) -> None:
    assert not (before.state.is_final and after.state is JobState.RUNNING), f"ended job {after.id} was started"
    if before.state.is_final and after.state.is_final:
        assert before.state is after.state, f"ended job {after.id} was ended again"
    if after.state is JobState.QUEUED and before.state is not JobState.QUEUED:
        assert after.generation > before.generation, f"job {after.id} was queued under its old generation"
    ended = sum(after.tries.values()) - sum(before.tries.values())
    assert ended <= 1, f"{ended} tries of job {after.id} were counted at once"
    if before.cancel_requested and before.state is JobState.RUNNING:
        assert after.state is not JobState.QUEUED, f"job {after.id} is queued although its cancel was asked"


class _LedgerTable:
    def __init__(self, table: Table, ledger: Ledger) -> None:
        self._table = table
        self._ledger = ledger

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        keys = [change.key for change in changes if change.key.startswith("job~")]
        before = [await self._job(partition, key) for key in keys]
        etags = await self._table.commit(partition, changes)
        if partition == REALMS and any(change.kind is ChangeKind.DELETE for change in changes):
            self._ledger.ever.clear()  # the realm is gone, and begins anew under its name
        for key, job in zip(keys, before, strict=True):
            self._ledger.note(job, await self._job(partition, key))
        return etags

    async def _job(self, partition: str, key: str) -> Job | None:
        row = await self._table.get(partition, key)
        return job_of(row) if row else None

    async def get(self, partition: str, key: str) -> Row | None:
        return await self._table.get(partition, key)

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        return await self._table.scan(partition, prefix, after=after, limit=limit, columns=columns)
