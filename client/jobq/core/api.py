"""What one can ask of a realm, as the HTTP service and the command line do: plain values in, JSON documents out.

Every method raises what `jobq.errors` names: NotFound, IllegalTransition, BadInput, NotAllowed, Unreachable.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobq.core import (
    backlog,
    checkout,
    erase,
    files,
    history,
    logs,
    operate,
    pause,
    realm_settings,
    status,
    summary,
    workers,
)
from jobq.core.bulk import Act, Selection, change_each
from jobq.core.documents import (
    Document,
    checked_out_document,
    files_document,
    history_document,
    job_document,
    pushed_document,
    settings_document,
    status_document,
    summary_document,
    tally_document,
    worker_document,
)
from jobq.core.listing import Filter, count_jobs, list_jobs
from jobq.core.outbox import PATIENCE
from jobq.core.payload import result_of, with_payload
from jobq.core.ports import NO_DELAY
from jobq.core.push import Push
from jobq.core.realm import EVERY_LANE, Realm
from jobq.core.rows import REALMS
from jobq.core.sweep import repair_orphans, sweep
from jobq.errors import BadInput
from jobq.model.job import IfExists, JobState, Json, NewJob
from jobq.model.series import Range

__all__ = ["Filter", "RealmApi", "Selection", "list_realms"]


@dataclass(frozen=True, slots=True)
class RealmApi:
    realm: Realm
    seconds: float | None = None
    """About so long a command for all that match a filter works before it answers where to go on; None: to its end."""

    async def push(
        self,
        jobs: Sequence[NewJob],
        *,
        batch: str,
        if_exists: IfExists = IfExists.SKIP,
        chunk: int = 1,
        token: str = "",
    ) -> list[Document]:
        """`id, status (queued | exists | refused), state, error` for each job, in order. See `jobq.core.push`."""
        push = Push(self.realm, batch, if_exists, chunk, token)
        return [pushed_document(pushed) for pushed in await push.run(jobs)]

    async def missing_files(self, names: Sequence[str]) -> list[str]:
        """Which of these manifests and pieces are not stored. Raises RealmClosed while the realm is deleted."""
        await erase.once_open(self.realm, self.realm.check_open)
        return await files.missing_files(self.realm, names)

    async def put_files(self, contents: files.Contents) -> None:
        """Store manifests and pieces by their names. Raises BadInput for bytes that are not what the name says."""
        await erase.once_open(self.realm, self.realm.check_open)
        await files.put_files(self.realm, contents)

    async def get_file(self, name: str) -> bytes:
        """A manifest or a piece. Raises BadInput for one that is gone or broken."""
        return await files.get_file(self.realm, name)

    async def ack(self, job_id: str, token: str, *, result: Json = None, message: str = "") -> Document:
        """The job, which its caller has done. Raises LeaseLost."""
        return job_document(await checkout.ack(self.realm, job_id, token, result=result, message=message))

    async def nack(
        self,
        job_id: str,
        token: str,
        *,
        failed: bool = False,
        exit_code: int | None = None,
        message: str = "",
        delay: timedelta | None = None,
    ) -> Document:
        """The job, which its caller gives back, or which has `failed`. Raises LeaseLost."""
        job = await checkout.nack(
            self.realm, job_id, token, failed=failed, exit_code=exit_code, message=message, delay=delay
        )
        return job_document(job)

    async def extend(self, job_id: str, token: str, *, lease: timedelta | None = None) -> Document:
        """As `check_out` gives, with the new lease and `cancel_requested`. Raises LeaseLost."""
        held = await checkout.extend(self.realm, job_id, token, lease=lease)
        return checked_out_document(held, self.realm.now())

    async def settings(self) -> Document:
        """`realm, lanes, lease, lane_leases` (seconds), `paused, deleting`. Raises NotFound."""
        return settings_document(self.realm.name, await realm_settings.settings_of(self.realm))

    async def change_settings(self, change: realm_settings.SettingsChange) -> Document:
        return settings_document(self.realm.name, await realm_settings.change_settings(self.realm, change))

    async def delete(self) -> Document:
        """Close the realm; what is in it goes in the background. Raises NotFound."""
        await erase.delete_realm(self.realm)
        return {"realm": self.realm.name, "deleting": True}

    async def erase(self) -> bool:
        """Remove what is left of a realm that was deleted; whether all of it is gone."""
        return await erase.erase(self.realm)

    async def scale(
        self, *, jobs_per_worker: int = 1, least: int = 0, most: int | None = None, max_lane: str | None = None
    ) -> Document:
        """`wanted`: how many workers it takes; `realm, waiting, running, oldest_seconds, workers`. Raises BadInput."""
        found = await backlog.realm_backlog(self.realm)
        load = backlog.load_of(found, max_lane)
        wanted = backlog.wanted_workers(load, jobs_per_worker=jobs_per_worker, least=least, most=most)
        return {
            "realm": self.realm.name,
            "waiting": load.waiting,
            "running": load.running,
            "oldest_seconds": load.oldest.total_seconds() if load.oldest is not None else None,
            "workers": found.status.workers,
            "wanted": wanted,
        }

    async def status(self) -> Document:
        """`realm`, the six counts, `workers`; and the six counts by lane, tag and batch."""
        return status_document(self.realm.name, await status.realm_status(self.realm))

    async def summary(self) -> Document:
        """The realm as a page that polls shows it, at a constant number of reads. See `jobq.core.summary`."""
        return summary_document(self.realm.name, await summary.summary(self.realm))

    async def history(self, back: Range = Range.HOUR) -> Document:
        """`step` (seconds) and `points`: what came in each step, and how it stood at its end."""
        return history_document(self.realm.name, await history.history(self.realm, back))

    async def tag_status(self, tag: str) -> Document:
        return {"tag": tag, **tally_document(await status.tag_status(self.realm, tag))}

    async def batch_status(self, batch: str) -> Document:
        return {"batch": batch, **tally_document(await status.batch_status(self.realm, batch))}

    async def total(self) -> Document:
        """The six counts of the realm alone: the cheapest question there is."""
        return {"realm": self.realm.name, **tally_document(await status.total(self.realm))}

    async def job(self, job_id: str) -> Document:
        """The whole job, and how far it is if it runs and tells; a large payload or result is fetched."""
        job = await self.realm.read(job_id)
        progress = await workers.progress_of(self.realm, job)
        with suppress(BadInput):  # an undecodable one is shown as it is
            job = await with_payload(self.realm, job)
        return job_document(replace(job, result=await result_of(self.realm, job)), progress)

    async def job_files(self, job_id: str) -> Document:
        """`files` (the first 1,000 by path: `path`, `size` in bytes, `executable`), `total`: what was shipped with it.

        Raises BadInput where they are not in the store any more.
        """
        return files_document(await files.manifest_of(self.realm, await self.realm.read(job_id)))

    async def jobs(self, where: Filter, *, after: str = "", limit: int = 50) -> Document:
        """A page: `jobs` (documents, with how far the running ones are), `next` (pass as `after`; null at the end)."""
        page = await list_jobs(self.realm, where, after=after, limit=limit)
        told = await workers.progress_of_all(self.realm, page.jobs)
        return {"jobs": [job_document(job, told.get(job.id)) for job in page.jobs], "next": page.next or None}

    async def count(self, where: Filter, *, after: str = "") -> Document:
        """`count` of those that match in a bounded number of rows, `next` (pass as `after`, and add up; else null)."""
        count, last = await count_jobs(self.realm, where, after=after)
        return {"count": count, "next": last or None}

    async def log(self, job_id: str, *, attempt: int | None = None, start: int = 0) -> bytes:
        return await logs.read_log(self.realm, await self.realm.read(job_id), attempt=attempt, start=start)

    async def log_start(self, job_id: str, *, since: datetime, attempt: int | None = None) -> Document:
        """`start`: the byte of an attempt's output to begin with for what came since then. See `jobq.core.logs`."""
        job = await self.realm.read(job_id)
        return {"start": await logs.log_start(self.realm, job, since=since, attempt=attempt)}

    async def workers(self) -> Document:
        return {"workers": [worker_document(worker) for worker in await workers.live_workers(self.realm)]}

    async def cancel(self, selection: Selection, *, message: str = "") -> Document:
        """`matched, changed, refused, next`, as for all commands for many jobs: see `jobq.core.bulk`."""
        states = JobState.QUEUED, JobState.RUNNING
        return await self._each(selection, states, lambda job_id: operate.cancel(self.realm, job_id, message=message))

    async def retry(self, selection: Selection) -> Document:
        states = JobState.FAILED, JobState.CANCELLED
        return await self._each(selection, states, lambda job_id: operate.retry(self.realm, job_id))

    async def preempt(self, selection: Selection) -> Document:
        """Running jobs go back to the queue, as if their machines went. A filter is about what workers hold."""
        chosen = selection.with_default(state=JobState.RUNNING)
        return await self._each(chosen, [JobState.RUNNING], lambda job_id: operate.preempt(self.realm, job_id))

    async def preempt_worker(self, worker: str) -> Document:
        """`worker`, which was asked to behave as if its machine went."""
        await operate.preempt_worker(self.realm, worker)
        return {"worker": worker}

    async def drain_worker(self, worker: str) -> Document:
        """`worker`, which was asked to finish what it runs, and to end."""
        await operate.drain_worker(self.realm, worker)
        return {"worker": worker}

    async def pause(self, lane: str = "") -> Document:
        """`paused`: the lanes that workers take nothing from any more, or `*` for the realm. Without a lane, that."""
        return {"realm": self.realm.name, "paused": await pause.pause(self.realm, lane or EVERY_LANE)}

    async def resume(self, lane: str = "") -> Document:
        """The same."""
        return {"realm": self.realm.name, "paused": await pause.resume(self.realm, lane or EVERY_LANE)}

    async def remove(self, selection: Selection) -> Document:
        return await self._each(selection, (), lambda job_id: operate.remove(self.realm, job_id))

    async def move(self, selection: Selection, *, source: str, target: str) -> Document:
        """From one lane to another, what is queued. What is checked out stays.

        A filter without a lane is about the jobs that are in `source`.
        """
        chosen = selection.with_default(lane=source)
        return await self._each(
            chosen, [JobState.QUEUED], lambda job_id: operate.move_lane(self.realm, job_id, source, target)
        )

    async def clear(self, lane: str, *, after: str = "") -> Document:
        """Take what is queued out of a lane: a job in no other lane is removed, the others keep their places there."""
        chosen = Selection(where=Filter(lane=lane), after=after)
        return await self._each(chosen, [JobState.QUEUED], lambda job_id: operate.leave_lane(self.realm, job_id, lane))

    async def sweep(self, *, repair: bool = False) -> Document:
        """`outbox_rows, folded, dead_workers, dead_letters, repaired, files`.

        `repair` also queues again whatever no worker holds, and removes files that no job names any more.
        """
        swept = await sweep(self.realm, patience=NO_DELAY if repair else PATIENCE)
        repaired = await repair_orphans(self.realm) if repair else 0
        forgotten = await files.forget_files(self.realm) if repair else 0
        return {
            "outbox_rows": swept.outbox_rows,
            "folded": swept.folded,
            "dead_workers": swept.dead_workers,
            "dead_letters": swept.dead_letters,
            "repaired": repaired,
            "files": forgotten,
        }

    async def _each(self, chosen: Selection, states: Sequence[JobState], act: Act) -> Document:
        return await change_each(self.realm, chosen, states, act, seconds=self.seconds)


async def check_out(
    realms: Sequence[Realm], *, count: int = 1, lease: timedelta | None = None, max_lane: str | None = None
) -> Document:
    """`jobs`: up to `count`, from the lowest lane over all the realms."""
    held = await checkout.check_out(realms, count=count, lease=lease, max_lane=max_lane)
    return {"jobs": [checked_out_document(one, realms[0].now()) for one in held]}


async def list_realms(realm: Realm) -> Document:
    """Names of all realms of the stack that `realm` is on."""
    names, after = [], ""
    while rows := await realm.stack.table.scan(REALMS, "", after=after, columns=("lanes",)):
        names += [row.key for row in rows]
        after = rows[-1].key
        if len(rows) < 1000:
            break
    return {"realms": names}
