"""Which ends of an attempt are followed by another one, and when, as a push may say it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jobq.core.decide import Verdict, after_attempt, claimed, judge
from jobq.core.ports import Delivery
from jobq.errors import BadInput
from jobq.model.job import Job, JobState, Limits, Outcome, Reason, Spec
from jobq.model.retry import Backoff, cause, is_among
from jobq.model.ticket import Entry, Ticket
from jobq.model.wire import limits_from_json, limits_to_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def after(limits: Limits, reason: Reason, exit_code: int | None = None, tries: dict[Reason, int] | None = None) -> Job:
    job = Job("j", "b", Spec(command="x", limits=limits), state=JobState.RUNNING, claim="c", tries=tries or {})
    ended = after_attempt(job, Outcome(reason, exit_code), now=NOW, spread=0.5)
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    ("reason", "exit_code", "is_retried"),
    [
        (Reason.OOM, 137, True),
        (Reason.EXIT, 75, True),
        (Reason.SIGNAL, 128 + 11, True),
        (Reason.EXIT, 1, False),
        (Reason.EXIT, 11, False),
        (Reason.SIGNAL, 128 + 9, False),
        (Reason.TIMEOUT, 143, False),
        (Reason.UPLOAD, 0, False),
        (Reason.PREEMPTED, 143, True),
    ],
)
def test_only_failures_that_are_named_are_retried_and_preemptions_as_ever(
    reason: Reason, exit_code: int, is_retried: bool
) -> None:
    job = after(Limits(retries=3, retry_on=("oom", "exit:75", "signal:11")), reason, exit_code)

    assert (job.state is JobState.QUEUED) is is_retried


@pytest.mark.parametrize(
    ("reason", "exit_code", "is_retried"),
    [
        (Reason.EXIT, 2, False),
        (Reason.EXIT, 3, True),
        (Reason.TIMEOUT, 143, False),
        (Reason.PREEMPTED, 143, False),
        (Reason.OOM, 137, True),
    ],
)
def test_what_is_not_to_be_retried_ends_at_the_first_time(reason: Reason, exit_code: int, is_retried: bool) -> None:
    job = after(Limits(retries=3, no_retry_on=("exit:2", "timeout", "preempted")), reason, exit_code)

    assert (job.state is JobState.QUEUED) is is_retried
    assert is_retried or (job.state, job.reason) == (JobState.FAILED, reason)


def test_what_is_both_to_be_retried_and_not_is_not() -> None:
    job = after(Limits(retries=3, retry_on=("exit",), no_retry_on=("exit:2",)), Reason.EXIT, 2)

    assert job.state is JobState.FAILED


def test_job_that_is_not_to_be_tried_again_after_a_lost_worker_ends_with_that_reason() -> None:
    limits = Limits(no_retry_on=("lost",))
    running = Job(
        "j", "b", Spec(command="x", limits=limits), state=JobState.RUNNING, claim="c", message_id="m", delivery=1
    )
    delivery = Delivery("m", 2, b"", "receipt", timedelta(minutes=10))

    verdict = judge(running, Entry("j", 1), Ticket("t", (Entry("j", 1),)), delivery, "c2")
    job = claimed(running, verdict, claim_id="c2", delivery=delivery, worker="w", now=NOW)

    assert verdict is Verdict.END_LOST
    assert job is not None
    assert (job.state, job.reason, job.message) == (
        JobState.FAILED,
        Reason.LOST,
        "its worker was lost, after which it is not to be tried again",
    )


@pytest.mark.parametrize(("failures", "seconds"), [(1, 30), (2, 60), (5, 480), (9, 3600), (10_000, 3600)])
def test_waits_are_as_the_push_says(failures: int, seconds: int) -> None:
    limits = Limits(retries=20_000, backoff=Backoff.parse("30s..1h"))

    job = after(limits, Reason.EXIT, 1, {Reason.EXIT: failures - 1})

    assert job.due_at == NOW + timedelta(seconds=seconds)


def test_no_wait_at_all_is_a_wait_too() -> None:
    assert after(Limits(retries=1, backoff=Backoff.parse("0s..0s")), Reason.EXIT, 1).due_at is None


@pytest.mark.parametrize(
    ("text", "first", "longest"),
    [
        ("30s..1h", 30, 3600),
        ("1s..5m", 1, 300),
        ("30s", 30, 300),
        ("10m", 600, 600),
        ("0.5..7d", 0.5, 604_800),
        ("0.05ms..100000.4s", 0.00005, 100_000.4),
    ],
)
def test_backoff_is_read_as_people_write_it_and_back(text: str, first: float, longest: float) -> None:
    backoff = Backoff.parse(text)

    assert (backoff.first.total_seconds(), backoff.longest.total_seconds()) == (first, longest)
    assert Backoff.parse(str(backoff)) == backoff


@pytest.mark.parametrize("text", ["", "..", "1h..30s", "1s..8d", "8d", "1s..", "1s...5s", "often"])
def test_what_is_no_backoff_says_how_to_write_one(text: str) -> None:
    with pytest.raises(BadInput, match=r"30s\.\.1h|not a duration"):
        Backoff.parse(text)


@pytest.mark.parametrize("text", ["exit", " OOM ", "exit:75", "signal:9", "lost", "preempted"])
def test_cause_is_taken(text: str) -> None:
    assert cause(text) == text.strip().lower()


@pytest.mark.parametrize(
    "text", ["", "exit:", "exit:256", "exit:-1", "oom:1", "cancelled", "undecodable", "exit:1x", "x"]
)
def test_what_is_no_cause_says_what_is(text: str) -> None:
    with pytest.raises(BadInput, match="is no way to fail: write exit, signal"):
        cause(text)


def test_exit_code_is_not_taken_for_a_signal() -> None:
    assert not is_among(("exit:9",), "signal", 137)
    assert not is_among(("signal:9",), "exit", 137)
    assert is_among(("signal:9",), "signal", 137)


def test_limits_survive_their_json() -> None:
    limits = replace(
        Limits(retries=2), backoff=Backoff.parse("2s..10m"), retry_on=("oom", "exit:75"), no_retry_on=("lost",)
    )

    assert limits_from_json(limits_to_json(limits)) == limits
    assert limits_to_json(Limits()) == {}
