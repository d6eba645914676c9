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
from jobq.settings import Settings
from jobq.worker.attempt import Attempt, Startable
from jobq.worker.companion import Companion
from jobq.worker.directory import JobDirectory
from jobq.worker.files import JobFiles
from jobq.worker.options import WorkerOptions
from jobq.worker.output import Output
from jobq.worker.shared_calls import SharedCalls
from jobq.worker.supervision import Supervision, boot_time
from jobq.worker.terminal import Writer

OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
"""What the system says when the disk is full, memory is short, or there are too many files or processes."""

MakeProgram = Callable[[Job, JobDirectory], Startable]


@dataclass(slots=True)
class JobRunner:
    realm: Realm
    options: WorkerOptions
    settings: Settings
    """How to reach the realm from another process."""
    program: MakeProgram
    terminal: Writer | None
    supervision: Supervision
    files: JobFiles
    shared: SharedCalls | None = None
    """Where calls of an async function run."""
    attempts: dict[str, tuple[Job, Attempt]] = field(default_factory=dict)
    started: int = 0

    async def run(self, job: Job, lease: TicketLease, mine: set[Attempt], traceparent: str) -> Outcome | None:
        """How it ended, or None if the lease was lost or nobody can tell. The attempt is among `mine` meanwhile.

        Raises NoRoom where it could not be started now, which is not the job's fault.
        """
        attempt = self._attempt(job, lease)
        self.started += 1
        mine.add(attempt)
        self.attempts[job.id] = (job, attempt)
        directory = None
        try:
            directory = JobDirectory.make()
            if job.spec.files:
                await self.files.copy_to(directory.work, job.spec.files)
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
            del self.attempts[job.id]
            if directory:
                await directory.remove()

    def running(self) -> list[Job]:
        return [job for job, _ in self.attempts.values()]

    def progress(self) -> dict[str, Progress]:
        """By job, of those that say how far they are."""
        told = {job.id: attempt.progress() for job, attempt in self.attempts.values()}
        return {job_id: how for job_id, how in told.items() if how}

    def stop(self, reason: Reason, grace: timedelta | None = None) -> None:
        """Ask all to end."""
        for _, attempt in list(self.attempts.values()):
            attempt.stop(reason, grace)

    def abandon(self) -> None:
        """At once: nothing of a job goes on, and its ticket comes back when its lease ends."""
        for _, attempt in list(self.attempts.values()):
            attempt.abandon()

    async def close(self) -> None:
        """Nothing of any job goes on."""
        await self.supervision.close()
        self.files.close()
        if self.shared:
            await self.shared.close()

    def _attempt(self, job: Job, lease: TicketLease) -> Attempt:
        key = log_key(self.realm.name, job.id, job.attempt)
        output = Output(self.realm.stack.blobs, key, f"[{job.id}] ".encode(), self.terminal)
        options = self.options
        return Attempt(job, output, options.grace, self.supervision, lambda: lease.seconds_left, options.emulate_tty)

    def _companion(self, job: Job, directory: JobDirectory, lease: TicketLease) -> Companion:
        def until() -> float:
            return boot_time(lease.seconds_left)

        return Companion(self.realm, self.settings, job, directory, self.supervision, until)
