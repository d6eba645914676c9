"""Workers' rows: what each runs now, until when to believe it, and what it is asked to do.

A worker's heartbeat is a merge with the worker's own last etag. Whoever has a command for it writes that into the row,
so the next heartbeat does not fit and the worker reads: a waiting command costs nothing to notice.
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.ports import Row, Value, create, delete, merge
from jobq.core.realm import Realm, scan_all
from jobq.core.rows import named_labels, workers_partition
from jobq.errors import Conflict, ReplyLost
from jobq.model.counts import Gpu, WorkerView
from jobq.model.durations import from_iso, to_iso
from jobq.model.job import Job, JobState, Progress
from jobq.model.wire import dumps

COMMANDS = ("cancel", "preempt", "drain")
"""The columns through which a worker is told."""
NOTHING: Mapping[str, float] = {}
NONE: Mapping[str, Progress] = {}

FORGET_AFTER = timedelta(hours=1)
"""A worker's row goes this long after it stopped being believed."""


CHECKOUT = "checkout-"
"""What the worker of a job that is checked out begins with; its token follows. See `jobq.core.checkout`."""

EVERYTHING = "*"
"""In place of a job's id: all that the worker runs."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a worker is asked to do: with jobs, by their ids."""

    cancel: tuple[str, ...] = ()
    preempt: tuple[str, ...] = ()
    """Or EVERYTHING."""
    drain: tuple[str, ...] = ()
    """EVERYTHING: to take nothing new, finish what runs, and end."""

    @classmethod
    def of(cls, row: Row | None) -> Asked:
        return cls(*(_ids(row, column) for column in COMMANDS)) if row else cls()

    def __add__(self, other: Asked) -> Asked:
        return Asked(self.cancel + other.cancel, self.preempt + other.preempt, self.drain + other.drain)


@dataclass(slots=True)
class WorkerRow:
    """A worker's own row, written by it alone but for commands."""

    realm: Realm
    worker: str
    slots: int
    labels: Mapping[str, str] = field(default_factory=dict)
    """What its operator says of it, as `gpu=a100`."""
    image: str = ""
    """Of the container it runs in."""
    etag: str = ""
    _asked: Asked = field(default_factory=Asked)
    """What was read from the row but not returned yet: a beat that fails half-way may have cleared it there."""

    async def beat(
        self,
        running: Sequence[Job],
        *,
        believe: timedelta,
        progress: Mapping[str, Progress] = NONE,
        machine: Mapping[str, float] = NOTHING,
        gpus: Sequence[Gpu] = (),
        is_draining: bool = False,
    ) -> Asked:
        """Say what runs now, to be believed for `believe`, and how far it is, by job; what was asked meanwhile.

        `machine`: `cpu` and `memory`, the parts of it that are in use, from 0.
        """
        values = self._values(running, believe) | {
            "progress": dumps({job_id: [how.fraction, how.text] for job_id, how in progress.items()}),
            "machine": dumps(dict(machine)),
            "gpus": dumps([[gpu.name, gpu.use, gpu.memory] for gpu in gpus]),
            "draining": is_draining,
        }
        while True:
            try:
                change = merge(self.worker, values, self.etag) if self.etag else create(self.worker, values)
                (self.etag,) = await self.realm.stack.table.commit(self._partition, [change])
                asked, self._asked = self._asked, Asked()
                return asked
            except (Conflict, ReplyLost):
                row = await self.realm.stack.table.get(self._partition, self.worker)
                self.etag = row.etag if row else ""
                self._asked += Asked.of(row)

    async def leave(self) -> None:
        """Remove the row: nothing runs here any more."""
        while self.etag:
            try:
                await self.realm.stack.table.commit(self._partition, [delete(self.worker, self.etag)])
                self.etag = ""
            except (Conflict, ReplyLost):
                row = await self.realm.stack.table.get(self._partition, self.worker)
                self.etag = row.etag if row else ""

    @property
    def _partition(self) -> str:
        return workers_partition(self.realm.name)

    def _values(self, running: Sequence[Job], believe: timedelta) -> dict[str, Value]:
        now = self.realm.now()
        labels = Counter(label for job in running for label in named_labels(job))
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "slots": self.slots,
            "running": dumps([job.id for job in running]),
            "labels": dumps(dict(labels)),
            "named": dumps(dict(self.labels)),
            "image": self.image,
            **dict.fromkeys(COMMANDS, ""),
            "beat_at": to_iso(now),
            "expires_at": to_iso(now + believe),
        }


async def tell(realm: Realm, worker: str, **commands: str) -> bool:
    """Ask a worker: `cancel`, `preempt`, `drain`, a job or EVERYTHING; False where it has no row, and so is gone.

    Whoever takes a job of one that is gone over sees in the job that it is to be cancelled.
    """
    where = workers_partition(realm.name)
    while True:
        row = await realm.stack.table.get(where, worker) if worker else None
        if row is None:
            return False
        asked = {command: json.dumps(sorted({*_ids(row, command), what})) for command, what in commands.items()}
        try:
            await realm.stack.table.commit(where, [merge(worker, asked, row.etag)])
            return True
        except (Conflict, ReplyLost):
            continue


def _ids(row: Row, column: str) -> tuple[str, ...]:
    return tuple(json.loads(str(row.values.get(column) or "[]")))


async def progress_of(realm: Realm, job: Job) -> Progress | None:
    """How far a running job is, as it has told its worker; None where it has told nothing."""
    if job.state is not JobState.RUNNING or not job.worker:
        return None
    row = await realm.stack.table.get(workers_partition(realm.name), job.worker)
    return _progress(row).get(job.id) if row else None


async def progress_of_all(realm: Realm, jobs: Sequence[Job]) -> dict[str, Progress]:
    """The same of many jobs, by id: one read of the workers' rows, and none where nothing runs."""
    running = [job for job in jobs if job.state is JobState.RUNNING and job.worker]
    told = {row.key: _progress(row) for row in await worker_rows(realm)} if running else {}
    return {job.id: how for job in running if (how := told.get(job.worker, {}).get(job.id))}


async def worker_rows(realm: Realm) -> list[Row]:
    return await scan_all(realm, workers_partition(realm.name), "")


async def live_workers(realm: Realm) -> list[WorkerView]:
    return [_view(row) for row in await worker_rows(realm) if is_live_worker(row, realm.now())]


async def held_jobs(realm: Realm) -> set[str]:
    """Ids of the jobs that workers run, as far as these are believed, and of those that are checked out."""
    return running_ids(await worker_rows(realm), realm.now())


def running_ids(rows: Sequence[Row], now: datetime) -> set[str]:
    """The same, from the workers' rows."""
    return {job_id for row in rows if is_believed(row, now) for job_id in _running(row)}


def running_by_label(rows: Sequence[Row], now: datetime) -> Counter[str]:
    """How many jobs run under each label, as believable workers say; jobs that are checked out among them."""
    running: Counter[str] = Counter()
    for row in rows:
        if is_believed(row, now):
            running.update(json.loads(str(row.values["labels"])))
    return running


def is_believed(row: Row, now: datetime) -> bool:
    return believed_until(row) > now


def believed_until(row: Row) -> datetime:
    return from_iso(str(row.values["expires_at"]))


def is_live_worker(row: Row, now: datetime) -> bool:
    return is_believed(row, now) and not row.key.startswith(CHECKOUT)


async def forget_dead(realm: Realm, rows: Sequence[Row]) -> int:
    """Delete those of the workers' rows whose workers are long gone; how many."""
    now, gone = realm.now(), 0
    for row in rows:
        if believed_until(row) + FORGET_AFTER < now:
            try:
                await realm.stack.table.commit(workers_partition(realm.name), [delete(row.key, row.etag)])
                gone += 1
            except (Conflict, ReplyLost):
                continue
    return gone


def _progress(row: Row) -> dict[str, Progress]:
    told = json.loads(str(row.values.get("progress") or "{}"))
    return {job_id: Progress(fraction, text) for job_id, (fraction, text) in told.items()}


def _running(row: Row) -> tuple[str, ...]:
    return tuple(json.loads(str(row.values.get("running") or "[]")))


def _view(row: Row) -> WorkerView:
    values = row.values
    return WorkerView(
        id=row.key,
        host=str(values.get("host", "")),
        slots=int(values.get("slots", 0)),
        labels=json.loads(str(values.get("named") or "{}")),
        machine=json.loads(str(values.get("machine") or "{}")),
        gpus=tuple(Gpu(*told) for told in json.loads(str(values.get("gpus") or "[]"))),
        image=str(values.get("image", "")),
        is_draining=bool(values.get("draining", False)),
        running=_running(row),
        progress=_progress(row),
        beat_at=from_iso(str(values["beat_at"])),
        expires_at=from_iso(str(values["expires_at"])),
    )
