"""One job that has a slot: its directory, its program, the process that copies what it writes, its attempt."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.core.lease import TicketLease
from jobq.core.logs import log_key
from jobq.core.payload import with_payload
from jobq.core.realm import Realm
from jobq.errors import BadInput, NoRoom, Unreachable
from jobq.model.job import Job, Outcome, Progress, Reason
from jobq.model.trace import carrying
from jobq.worker.attempt import Attempt, Startable
from jobq.worker.companion import Companion
from jobq.worker.directory import JobDirectory
from jobq.worker.output import Output
from jobq.worker.pool import Pool
from jobq.worker.supervision import boot_time

OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
"""What the system says when the disk is full, memory is short, or there are too many files or processes."""

MakeProgram = Callable[[Job, JobDirectory], Startable]


@dataclass(slots=True)
class JobRunner:
    realm: Realm
    pool: Pool
    program: MakeProgram
    attempts: dict[str, tuple[Job, Attempt]] = field(default_factory=dict)
    """What runs of the realm's jobs."""
    _leases: dict[str, TicketLease] = field(default_factory=dict)

    async def run(self, job: Job, lease: TicketLease, mine: set[Attempt], traceparent: str) -> Outcome | None:
        """How it ended, or None if the lease was lost or nobody can tell. The attempt is among `mine` meanwhile.

        Raises NoRoom where it could not be started now, which is not the job's fault.
        """
        attempt = self._attempt(job, lease)
        self.pool.started += 1
        self.pool.attempts.add(attempt)
        mine.add(attempt)
        self.attempts[job.id], self._leases[job.id] = (job, attempt), lease
        directory = None
        try:
            directory = JobDirectory.make()
            if job.spec.files:
                await self.pool.files.copy_to(self.realm, directory.work, job.spec.files)
            whole = carrying(await with_payload(self.realm, job), traceparent)
            program = self.program(whole, directory)
            attempt.companion = self._companion(whole, directory, lease)
            return await attempt.run(program, directory)
        except BadInput as error:
            return Outcome(Reason.UNDECODABLE, message=str(error))
        except Unreachable as error:  # its payload, its files or its checkpoint
            raise NoRoom(str(error)) from error
        except OSError as error:
            if error.errno in OF_THE_MACHINE:
                raise NoRoom(f"{error}: this machine has no room to start a job") from error
            return Outcome(Reason.EXIT, message=f"could not be started: {error}")
        finally:
            mine.discard(attempt)
            self.pool.attempts.discard(attempt)
            del self.attempts[job.id], self._leases[job.id]
            if directory:
                await directory.remove()

    def running(self) -> list[Job]:
        return [job for job, _ in self.attempts.values()]

    def progress(self) -> dict[str, Progress]:
        """By job, of those that say how far they are."""
        told = {job.id: attempt.progress() for job, attempt in self.attempts.values()}
        return {job_id: how for job_id, how in told.items() if how}

    def longest_lease(self) -> timedelta | None:
        """Of what runs: if this worker dies now, all of it is others' to take when that is over."""
        return max((lease.delivery.lease for lease in self._leases.values()), default=None)

    def _attempt(self, job: Job, lease: TicketLease) -> Attempt:
        key = log_key(self.realm.name, job.id, job.attempt)
        output = Output(self.realm.stack.blobs, key, f"[{job.id}] ".encode(), self.pool.terminal)
        grace, emulate_tty = self.pool.options.grace, self.pool.options.emulate_tty
        return Attempt(job, output, grace, self.pool.supervision, lambda: lease.seconds_left, emulate_tty)

    def _companion(self, job: Job, directory: JobDirectory, lease: TicketLease) -> Companion:
        def until() -> float:
            return boot_time(lease.seconds_left)

        return Companion(self.realm, self.pool.settings, job, directory, self.pool.supervision, until)
