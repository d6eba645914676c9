"""The protocol's decisions, as plain functions: what a ticket gives the right to, and where an attempt's end leads."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobq.core.decide import (
    Verdict,
    after_attempt,
    claimed,
    given_back,
    given_up,
    judge,
    may_try_again,
    untied,
)
from jobq.core.ports import Delivery
from jobq.model.job import FAILURES, Job, JobState, Limits, Outcome, Reason, Spec
from jobq.model.retry import Backoff
from jobq.model.ticket import Entry, Ticket

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTRY = Entry("j", 7)
TICKET = Ticket("t", (ENTRY,))
CHUNK = Ticket("t", (ENTRY, Entry("k", 1)))
QUEUED = Job("j", "b", Spec(command="true", limits=Limits(retries=1, crashes=2)), generation=7)
RUNNING = replace(QUEUED, state=JobState.RUNNING, claim="c1", message_id="m1", delivery=2, attempt=1)


def delivered(message_id: str = "m1", number: int = 3) -> Delivery:
    return Delivery(message_id, number, b"", "receipt", timedelta(minutes=10))


def verdict(job: Job | None, ticket: Ticket = TICKET, delivery: Delivery | None = None, claim: str = "c2") -> Verdict:
    return judge(job, ENTRY, ticket, delivery or delivered(), claim)


def test_ticket_of_a_removed_job_is_dropped() -> None:
    assert verdict(None) is Verdict.DROP


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_ticket_of_an_ended_job_is_dropped_whoever_ended_it(state: JobState) -> None:
    assert verdict(replace(RUNNING, state=state)) is Verdict.DROP


def test_queued_job_is_claimed_by_a_ticket_of_its_generation() -> None:
    assert verdict(QUEUED) is Verdict.CLAIM


def test_queued_job_is_claimed_by_the_message_it_names_whatever_the_generation() -> None:
    job = replace(QUEUED, generation=8, message_id="m1", delivery=2)
    assert verdict(job) is Verdict.CLAIM


def test_queued_job_is_not_claimed_by_another_message_of_an_old_generation() -> None:
    assert verdict(replace(QUEUED, generation=8)) is Verdict.DROP


def test_lower_or_equal_delivery_of_the_named_message_leaves_silently() -> None:
    assert verdict(RUNNING, delivery=delivered(number=2)) is Verdict.STALE
    assert verdict(replace(RUNNING, state=JobState.QUEUED), delivery=delivered(number=1)) is Verdict.STALE


def test_claim_whose_reply_was_lost_is_known_by_its_id() -> None:
    assert verdict(RUNNING, delivery=delivered(number=2), claim="c1") is Verdict.MINE


def test_running_job_is_taken_over_by_a_later_delivery_of_its_message() -> None:
    assert verdict(RUNNING) is Verdict.TAKE_OVER


def test_running_job_is_not_touched_by_another_message() -> None:
    assert verdict(RUNNING, delivery=delivered("m2", 9)) is Verdict.DROP


def test_running_job_is_taken_over_by_the_ticket_it_names_as_next() -> None:
    assert verdict(replace(RUNNING, next_ticket="t"), delivery=delivered("m2", 1)) is Verdict.TAKE_OVER


def test_job_over_its_crash_limit_ends_before_anything_of_it_is_decoded() -> None:
    assert verdict(replace(RUNNING, tries={Reason.LOST: 2})) is Verdict.END_LOST


@pytest.mark.parametrize("asked", [{"cancel_requested": True}, {"remove_requested": True}])
def test_take_over_of_a_job_whose_end_was_asked_for_ends_it(asked: dict[str, bool]) -> None:
    job = replace(RUNNING, tries={Reason.LOST: 2}, **asked)  # type: ignore[arg-type]  # flags
    assert verdict(job) is Verdict.END_CANCELLED


def test_chunk_delivered_again_is_split_and_not_run() -> None:
    assert verdict(RUNNING, CHUNK) is Verdict.SPLIT
    assert verdict(QUEUED, CHUNK, delivered(number=2)) is Verdict.SPLIT
    assert verdict(QUEUED, CHUNK, delivered(number=1)) is Verdict.CLAIM


def carried_out(job: Job, verdict: Verdict) -> Job | None:
    return claimed(job, verdict, claim_id="c2", delivery=delivered(), worker="w", now=NOW)


def test_claim_names_its_id_its_message_and_its_delivery() -> None:
    job = carried_out(replace(QUEUED, due_at=NOW), Verdict.CLAIM)

    assert job is not None
    assert (job.state, job.claim, job.message_id, job.delivery) == (JobState.RUNNING, "c2", "m1", 3)
    assert (job.worker, job.attempt, job.started_at, job.due_at) == ("w", 1, NOW, None)
    assert job.generation == 7


@pytest.mark.parametrize("verdict", [Verdict.CLAIM, Verdict.TAKE_OVER])
def test_claim_names_the_next_ticket_of_a_checkout_and_takes_that_of_another_away(verdict: Verdict) -> None:
    before = replace(RUNNING, next_ticket="t1")

    def after(**names: str) -> Job | None:
        return claimed(before, verdict, claim_id="c2", delivery=delivered(), worker="w", now=NOW, **names)

    assert (after(next_ticket="t2") or before).next_ticket == "t2"
    assert (after() or before).next_ticket == ""


def test_job_that_is_untied_waits_for_tickets_of_its_generation_only() -> None:
    job = untied(replace(QUEUED, generation=8, message_id="m1", delivery=2, next_ticket="t"))

    assert verdict(job) is Verdict.DROP
    assert verdict(replace(job, generation=7)) is Verdict.CLAIM


def test_take_over_counts_the_loss_and_a_further_attempt() -> None:
    job = carried_out(RUNNING, Verdict.TAKE_OVER)

    assert job is not None
    assert job.tries == {Reason.LOST: 1}
    assert job.attempt == 2


@pytest.mark.parametrize("verdict", [Verdict.CLAIM, Verdict.TAKE_OVER])
def test_attempt_that_begins_shows_nothing_of_how_the_last_one_ended(verdict: Verdict) -> None:
    told = Outcome(Reason.EXIT, 3, "no such data", tail="bye", seconds=2.0, log="log/j/0001")
    failed = after_attempt(RUNNING, told, now=NOW, spread=0.5)
    assert failed is not None
    assert (failed.state, failed.reason, failed.exit_code) == (JobState.QUEUED, Reason.EXIT, 3)

    job = carried_out(failed, verdict)

    assert job is not None
    assert (job.reason, job.exit_code, job.message, job.tail, job.log, job.seconds) == (None, None, "", "", "", 0.0)
    assert job.tries[Reason.EXIT] == 1


def test_split_counts_no_loss_and_raises_the_generation() -> None:
    job = carried_out(RUNNING, Verdict.SPLIT)

    assert job is not None
    assert (job.state, job.generation, job.tries, job.claim) == (JobState.QUEUED, 8, {}, "")


def test_end_as_lost_says_how_often_its_worker_was_lost() -> None:
    job = carried_out(replace(RUNNING, tries={Reason.LOST: 2}), Verdict.END_LOST)

    assert job is not None
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.LOST, {Reason.LOST: 3})
    assert "lost 3 times" in job.message


def test_end_of_a_job_whose_removal_was_asked_removes_it() -> None:
    assert carried_out(replace(RUNNING, remove_requested=True), Verdict.END_CANCELLED) is None


def after(job: Job, reason: Reason | None, spread: float = 0.5) -> Job | None:
    return after_attempt(job, Outcome(reason), now=NOW, spread=spread)


def test_success_ends_the_job_even_where_a_cancel_came_too_late() -> None:
    job = after(replace(RUNNING, cancel_requested=True), None)

    assert job is not None
    assert (job.state, job.reason, job.cancel_requested) == (JobState.SUCCEEDED, None, False)


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_failure_is_retried_under_the_next_generation_while_retries_are_left(reason: Reason) -> None:
    job = after(RUNNING, reason)

    assert job is not None
    assert (job.state, job.generation, job.reason) == (JobState.QUEUED, 8, reason)
    assert job.due_at == NOW + timedelta(seconds=1)
    assert (job.message_id, job.delivery) == ("m1", 2)


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_failure_after_the_last_retry_is_final(reason: Reason) -> None:
    job = after(replace(RUNNING, tries={Reason.EXIT: 1}), reason)

    assert job is not None
    assert (job.state, job.reason, job.ended_at) == (JobState.FAILED, reason, NOW)


def test_cancelled_job_is_never_retried() -> None:
    job = after(replace(RUNNING, cancel_requested=True), Reason.EXIT)

    assert job is not None
    assert (job.state, job.reason) == (JobState.CANCELLED, Reason.CANCELLED)


def test_preemption_goes_back_at_once_and_uses_no_retry() -> None:
    job = after(replace(RUNNING, spec=Spec(command="true")), Reason.PREEMPTED)

    assert job is not None
    assert (job.state, job.due_at, job.failures) == (JobState.QUEUED, None, 0)


def test_undecodable_payload_is_not_tried_again() -> None:
    job = after(RUNNING, Reason.UNDECODABLE)

    assert job is not None
    assert job.state is JobState.FAILED


def test_end_of_an_attempt_removes_a_job_whose_removal_was_asked() -> None:
    assert after(replace(RUNNING, remove_requested=True), None) is None


def test_crashes_preemptions_and_failures_are_limited_apart() -> None:
    tries = {Reason.EXIT: 1, Reason.SIGNAL: 0, Reason.LOST: 2, Reason.PREEMPTED: 1}
    job = replace(RUNNING, tries=tries, spec=Spec(command="true", limits=Limits(retries=1, crashes=2, preemptions=1)))

    assert [may_try_again(job, reason) for reason in (Reason.EXIT, Reason.LOST, Reason.PREEMPTED)] == [True] * 3


def test_job_given_back_is_as_if_it_had_not_been_claimed() -> None:
    job = given_back(RUNNING, NOW)

    assert job is not None
    assert (job.state, job.attempt, job.tries, job.generation) == (JobState.QUEUED, 0, {}, 8)


def test_job_given_back_ends_if_that_was_asked() -> None:
    cancelled = given_back(replace(RUNNING, cancel_requested=True), NOW)

    assert cancelled is not None
    assert cancelled.state is JobState.CANCELLED
    assert given_back(replace(RUNNING, remove_requested=True), NOW) is None


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (5, 16), (9, 256)])
def test_backoff_doubles_and_is_spread_by_a_quarter(failures: int, seconds: int) -> None:
    low, middle, high = (Backoff().wait(failures, spread).total_seconds() for spread in (0, 0.5, 1))
    assert (low, middle, high) == (0.75 * seconds, seconds, min(300, 1.25 * seconds))


def test_backoff_is_never_over_five_minutes() -> None:
    assert Backoff().wait(10, 1) == Backoff().wait(10_000, 1) == timedelta(minutes=5)


def after_burial(job: Job, message_id: str = "m1", ticket: Ticket = TICKET) -> Job | None:
    letter = Delivery(message_id, 11, b"", "receipt", timedelta(minutes=5), dead_reason="MaxDeliveryCountExceeded")
    return given_up(job, ENTRY, ticket, letter, claim_id="c9", now=NOW)


def test_queued_job_fails_with_its_ticket_and_says_why() -> None:
    job = after_burial(QUEUED)

    assert job is not None
    assert (job.state, job.reason, job.tries, job.claim) == (JobState.FAILED, Reason.LOST, {}, "c9")
    assert job.message == "the broker gave its ticket up after 10 deliveries (MaxDeliveryCountExceeded)"


def test_running_job_whose_worker_was_lost_fails_with_its_ticket_and_the_loss_is_counted() -> None:
    job = after_burial(RUNNING)

    assert job is not None
    assert (job.state, job.reason, job.tries) == (JobState.FAILED, Reason.LOST, {Reason.LOST: 1})


def test_replacement_of_a_checked_out_ticket_speaks_for_its_job() -> None:
    job = after_burial(replace(RUNNING, next_ticket="t"), "m2")

    assert job is not None
    assert job.state is JobState.FAILED


@pytest.mark.parametrize(
    "job",
    [
        replace(RUNNING, message_id="m2"),
        replace(QUEUED, generation=8),
        replace(QUEUED, generation=8, message_id="m1", delivery=2),
        replace(RUNNING, state=JobState.SUCCEEDED),
        replace(RUNNING, state=JobState.CANCELLED),
    ],
    ids=["running under another", "queued anew", "queued anew by whoever held it", "succeeded", "cancelled"],
)
def test_job_that_another_ticket_speaks_for_is_left_alone(job: Job) -> None:
    assert after_burial(job) == job


def test_dead_letter_of_a_job_whose_end_was_asked_for_ends_it_so() -> None:
    cancelled = after_burial(replace(RUNNING, cancel_requested=True))

    assert cancelled is not None
    assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, Reason.CANCELLED)
    assert after_burial(replace(RUNNING, cancel_requested=True, remove_requested=True)) is None
