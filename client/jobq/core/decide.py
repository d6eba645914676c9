"""What to do with a ticket, and what an attempt's end makes of its job. Plain functions: the protocol's rules.

They are those of DESIGN section 5, found with a model checker; `tests/model` holds them against it. No clocks are
compared: etags, message identity, claim ids and delivery numbers decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum

from jobq.core.ports import Delivery
from jobq.model.attempts import remembered
from jobq.model.job import Attempt, Job, JobState, Outcome, Reason
from jobq.model.retry import is_among
from jobq.model.ticket import Entry, Ticket


class Verdict(Enum):
    DROP = "drop"
    """The ticket says nothing about this job any more."""
    STALE = "stale"
    """We lost the lease meanwhile: leave silently, touch nothing."""
    MINE = "mine"
    """Our claim was applied, only its reply was lost."""
    CLAIM = "claim"
    TAKE_OVER = "take over"
    """Its worker lost the lease: run it, and count the loss."""
    END_LOST = "end as lost"
    END_CANCELLED = "end as cancelled"
    SPLIT = "split"
    """A chunk delivered again: this job goes back to queued, with a ticket of its own."""


def judge(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
    """The verdict on one entry of a received ticket, given its job's row as it is now."""
    if job is None or job.state.is_final:
        return Verdict.DROP
    is_named = job.message_id == delivery.message_id or (job.next_ticket != "" and job.next_ticket == ticket.id)
    is_same = job.message_id != "" and is_named
    if job.generation != entry.generation and not is_same:
        return Verdict.DROP
    if job.state is JobState.RUNNING and job.claim == claim_id:
        return Verdict.MINE
    if job.message_id == delivery.message_id and job.delivery >= delivery.number:
        return Verdict.STALE
    if job.state is JobState.QUEUED:
        return Verdict.SPLIT if ticket.is_chunk and delivery.number > 1 else Verdict.CLAIM
    if not is_same:
        return Verdict.DROP
    if job.cancel_requested or job.remove_requested:
        return Verdict.END_CANCELLED
    if ticket.is_chunk:
        return Verdict.SPLIT
    lost = replace(job, tries=job.tried(Reason.LOST))
    return Verdict.TAKE_OVER if may_try_again(lost, Reason.LOST) else Verdict.END_LOST


def claimed(
    job: Job,
    verdict: Verdict,
    *,
    claim_id: str,
    delivery: Delivery,
    worker: str,
    now: datetime,
    next_ticket: str = "",
) -> Job | None:
    """The job after the verdict is carried out; None where its row goes (a removal was asked).

    Besides the message it is claimed from, the ticket with the id `next_ticket` may take it over then.
    """
    held = {"claim": claim_id, "message_id": delivery.message_id, "delivery": delivery.number, "next_ticket": ""}
    if verdict is Verdict.END_CANCELLED and job.remove_requested:
        return None
    if verdict is Verdict.END_CANCELLED:
        return ended(job, JobState.CANCELLED, Reason.CANCELLED, "cancelled; its worker was lost", now, claim_id)
    if verdict is Verdict.END_LOST:
        lost = replace(job, tries=job.tried(Reason.LOST))
        why = f"its worker was lost {lost.tries[Reason.LOST]} times; the crash limit is {job.spec.limits.crashes}"
        if is_among(job.spec.limits.no_retry_on, Reason.LOST, None):
            why = "its worker was lost, after which it is not to be tried again"
        return ended(lost, JobState.FAILED, Reason.LOST, why, now, claim_id)
    if verdict is Verdict.SPLIT:
        held["claim"] = ""
        past = lost_attempt(job, now)
        return job.moved_to(JobState.QUEUED, generation=job.generation + 1, worker="", past=past, **held)
    tries = job.tried(Reason.LOST) if verdict is Verdict.TAKE_OVER else job.tries
    return job.moved_to(
        JobState.RUNNING,
        attempt=job.attempt + 1,
        tries=tries,
        past=lost_attempt(job, now),
        worker=worker,
        started_at=now,
        due_at=None,
        **_NOT_ENDED,
        **held | {"next_ticket": next_ticket},
    )


_NOT_ENDED: Mapping[str, object] = {
    "reason": None,
    "exit_code": None,
    "message": "",
    "tail": "",
    "result": None,
    "result_blob": "",
    "log": "",
    "seconds": 0.0,
    "ended_at": None,
}
"""What says how an attempt ended, of one that has just begun: the last one's end is in its tries, and in its log."""


def given_up(job: Job, entry: Entry, ticket: Ticket, delivery: Delivery, *, claim_id: str, now: datetime) -> Job | None:
    """What becomes of a job whose ticket is a dead letter: it fails if that was its right to be tried, else it stays.

    Nobody holds a dead letter: whoever had claimed under it has lost the lease. None where the row goes.
    """
    is_named = delivery.message_id == job.message_id or (job.next_ticket != "" and job.next_ticket == ticket.id)
    is_its_own = is_named if job.state is JobState.RUNNING else job.generation == entry.generation
    if job.state.is_final or not is_its_own:
        return job
    if job.remove_requested:
        return None
    if job.cancel_requested:
        return ended(job, JobState.CANCELLED, Reason.CANCELLED, "cancelled; its worker was lost", now, claim_id)
    tries = job.tried(Reason.LOST) if job.state is JobState.RUNNING else job.tries
    why = f"the broker gave its ticket up after {delivery.number - 1} deliveries ({delivery.dead_reason})"
    return ended(replace(job, tries=tries), JobState.FAILED, Reason.LOST, why, now, claim_id)


def ended(job: Job, state: JobState, reason: Reason | None, message: str, now: datetime, claim_id: str) -> Job:
    return job.moved_to(
        state, reason=reason, message=message, ended_at=now, claim=claim_id, cancel_requested=False, due_at=None
    )


def after_attempt(job: Job, outcome: Outcome, *, now: datetime, spread: float) -> Job | None:
    """Where a running job goes when its attempt ends: to its end, back to the queue, or (None) away, as was asked.

    `spread` from 0 to 1 places the retry within the jitter of its backoff.
    """
    if job.remove_requested:
        return None
    tried = job.tried(outcome.reason) if outcome.reason else job.tries
    told = replace(
        job,
        tries=tried,
        exit_code=outcome.exit_code,
        tail=outcome.tail,
        log=outcome.log,
        seconds=outcome.seconds,
        result=outcome.result,
    )
    if outcome.reason is None:
        return ended(told, JobState.SUCCEEDED, None, outcome.message, now, job.claim)
    if job.cancel_requested or outcome.reason is Reason.CANCELLED:
        return ended(told, JobState.CANCELLED, Reason.CANCELLED, outcome.message, now, job.claim)
    if not may_try_again(told, outcome.reason):
        return ended(told, JobState.FAILED, outcome.reason, outcome.message, now, job.claim)
    backoff = job.spec.limits.backoff
    delay = backoff.wait(told.failures, spread) if outcome.reason is not Reason.PREEMPTED else timedelta(0)
    how = {"reason": outcome.reason, "message": outcome.message}
    past = remembered(told, ended_at=now, **how)
    return requeued(told, past=past, due_at=now + delay if delay else None, **how)


def lost_attempt(job: Job, now: datetime) -> tuple[Attempt, ...]:
    """What a job remembers that goes on although its worker is lost; of one that does not run, what it did before."""
    return remembered(job, reason=Reason.LOST, ended_at=now) if job.state is JobState.RUNNING else job.past


def given_back(job: Job, now: datetime) -> Job | None:
    """Where a claimed job goes that was not started: as if it had not been claimed, unless its end was asked for."""
    if job.remove_requested:
        return None
    if job.cancel_requested:
        return ended(job, JobState.CANCELLED, Reason.CANCELLED, "cancelled before it was started", now, job.claim)
    return requeued(job, attempt=job.attempt - 1)


def requeued(job: Job, **fields: object) -> Job:
    """Back to queued, one generation on. The message it was claimed from keeps its right to it."""
    return job.moved_to(JobState.QUEUED, generation=job.generation + 1, worker="", **fields)


def untied(job: Job) -> Job:
    """A queued job, to be claimed by tickets of its generation only: not by the message it was claimed from before."""
    return replace(job, message_id="", delivery=0, next_ticket="")


def may_try_again(job: Job, reason: Reason) -> bool:
    """After an attempt that ended so, which is among the job's tries, and its exit code in the job."""
    limits = job.spec.limits
    if is_among(limits.no_retry_on, reason, job.exit_code):
        return False
    if reason is Reason.PREEMPTED:
        return job.tries[reason] <= limits.preemptions
    if reason is Reason.LOST:
        return job.tries[reason] <= limits.crashes
    is_meant = not limits.retry_on or is_among(limits.retry_on, reason, job.exit_code)
    return is_meant and reason is not Reason.UNDECODABLE and job.failures <= limits.retries
