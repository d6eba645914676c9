"""The protocol's rules hold in every state of a small world, and each of them is needed: without it one is broken.

I1 no job is lost; I2 one end of an execution is accepted; I3 who was superseded cannot record; I5 a cancelled job is
not claimed; I6 losses and starts are bounded and counted right; I7 nobody is given a job, and none is given up, while
another's lease holds; I8 a job is not given up for a ticket that is void.
(I4, counts equal rows, is in `test_counters.py`.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jobq.core import decide
from jobq.core.decide import Verdict
from jobq.core.ports import Delivery
from jobq.model.job import Job, JobState
from jobq.model.ticket import Entry, Ticket
from tests.model.explore import explore
from tests.model.states import Case, Rules

Judge = Callable[[Job | None, Entry, Ticket, Delivery, str], Verdict]

ONE_OF_EACH = {"crash": {"crashes": 1}, "lost lease": {"losses": 1}, "lost reply": {"lost_replies": 1}}
CHUNK = Case(jobs=2, is_chunk=True, retries=0)
AGAIN = Case(operations=("remove", "push"), retries=0)

# A dead letter and an operation may be there or not, so a case with one contains the case without.
SCENARIOS = {
    "push": Case(is_pushed=False),
    "a chunk": CHUNK,
    "a duplicate ticket": Case(duplicates=1),
    "cancel": Case(operations=("cancel",)),
    "remove": Case(operations=("remove",)),
    "retry by the user": Case(operations=("retry",), retries=0),
    "cancel, then retry": Case(operations=("cancel", "retry"), retries=0),
    "remove, then push again": AGAIN,
    "a slow sweeper": Case(is_sweeper_slow=True),
    "Service Bus, a chunk": replace(CHUNK, edits=False),
    "a dead letter": Case(edits=False, dead_letters=1),
    "a dead letter, cancel": Case(edits=False, dead_letters=1, operations=("cancel",)),
    "a dead letter, retry by the user": Case(edits=False, dead_letters=1, retries=0, operations=("retry",)),
    "a dead letter, remove, then push again": replace(AGAIN, edits=False, dead_letters=1),
}


@pytest.mark.parametrize("faults", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
@pytest.mark.parametrize("case", SCENARIOS.values(), ids=SCENARIOS)
def test_rules_hold_with_one_fault(case: Case, faults: dict[str, int]) -> None:
    assert explore(replace(case, **faults)).wrong == {}  # type: ignore[arg-type]  # counts


FURTHER = {
    "a crash and a lost lease": Case(crashes=1, losses=1),
    "a lost lease and a lost reply": Case(losses=1, lost_replies=1),
    "two lost replies": Case(lost_replies=2),
    "a job of a chunk that kills its workers": replace(CHUNK, killer=0),
    "a job that kills its workers": Case(killer=0),
    "a chunk, a tail of which is given back, and a crash": replace(
        CHUNK, gives_back=True, crash_limit=0, workers=1, crashes=1
    ),
    "a chunk, a tail of which is given back, and a lost reply": replace(CHUNK, gives_back=True, lost_replies=1),
    "a chunk, cancelled and given back": replace(CHUNK, gives_back=True, may_fail=False, operations=("cancel",)),
    "Service Bus, a lost lease and a lost reply": Case(edits=False, losses=1, lost_replies=1),
    "Service Bus, a duplicate and a lost lease": Case(edits=False, duplicates=1, losses=1),
    "a dead letter of a chunk and a crash": replace(CHUNK, edits=False, dead_letters=1, crashes=1),
    "a dead duplicate and a lost lease": Case(edits=False, duplicates=1, losses=1, dead_letters=1),
    "two dead letters and a lost lease": Case(edits=False, losses=1, dead_letters=2),
}


@pytest.mark.parametrize("case", FURTHER.values(), ids=FURTHER)
def test_rules_hold_further(case: Case) -> None:
    assert explore(case).wrong == {}


def never_mine(judge: Judge) -> Judge:
    return lambda job, entry, ticket, delivery, claim_id: judge(job, entry, ticket, delivery, "nobody's")


def blind_to_delivery_numbers(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        return judge(job and replace(job, delivery=0), entry, ticket, delivery, claim_id)

    return judged


def blind_to_generations(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        entry = replace(entry, generation=job.generation) if job else entry
        return judge(job, entry, ticket, delivery, claim_id)

    return judged


def blind_to_cancels(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        job = job and replace(job, cancel_requested=False, remove_requested=False)
        return judge(job, entry, ticket, delivery, claim_id)

    return judged


def blind_to_chunks(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        return judge(job, entry, replace(ticket, entries=ticket.entries[:1]), delivery, claim_id)

    return judged


def blind_to_ends(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        is_ended = job is not None and job.state.is_final
        job = replace(job, state=JobState.QUEUED) if job and is_ended else job
        return judge(job, entry, ticket, delivery, claim_id)

    return judged


def without_a_crash_limit(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        verdict = judge(job, entry, ticket, delivery, claim_id)
        return Verdict.TAKE_OVER if verdict is Verdict.END_LOST else verdict

    return judged


def taking_over_by_any_ticket(judge: Judge) -> Judge:
    def judged(job: Job | None, entry: Entry, ticket: Ticket, delivery: Delivery, claim_id: str) -> Verdict:
        is_other = job is not None and job.message_id not in ("", delivery.message_id)
        if job is not None and job.state is JobState.RUNNING and is_other:
            job = replace(job, message_id=delivery.message_id, delivery=0)
        return judge(job, entry, ticket, delivery, claim_id)

    return judged


JUDGE_WITHOUT = {
    "claim ids": (never_mine, Case(lost_replies=1), "I6"),
    "delivery numbers": (blind_to_delivery_numbers, Case(losses=1), "I7"),
    "generations": (blind_to_generations, Case(operations=("retry",), retries=0, losses=1), "I1"),
    "the end of a cancelled job at its take-over": (blind_to_cancels, Case(operations=("cancel",), crashes=1), "I5"),
    "the split of a lost chunk": (blind_to_chunks, replace(CHUNK, killer=0), "I6"),
    "the end of ended jobs": (blind_to_ends, Case(duplicates=1, retries=0), "I2"),
    "the crash limit": (without_a_crash_limit, Case(killer=0), "I6"),
    "message identity": (taking_over_by_any_ticket, Case(duplicates=1), "I6"),
}


@pytest.mark.parametrize(("mutation", "case", "broken"), JUDGE_WITHOUT.values(), ids=JUDGE_WITHOUT)
def test_judge_needs_each_of_its_rules(
    mutation: Callable[[Judge], Judge], case: Case, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "judge", mutation(decide.judge))

    assert broken in explore(case).wrong


WITHOUT = {
    "an outbox in push": (Case(is_pushed=False, crashes=1, rules=Rules(outbox=False)), "I1"),
    "an outbox in retries by the user": (
        replace(SCENARIOS["retry by the user"], crashes=1, rules=Rules(outbox=False)),
        "I1",
    ),
    "a claim id for each claim": (Case(losses=1, rules=Rules(claim_ids=False)), "I3"),
    "a fresh generation for each push": (
        replace(AGAIN, losses=1, rules=Rules(fresh_generations=False)),
        "I1",
    ),
}


@pytest.mark.parametrize(("case", "broken"), WITHOUT.values(), ids=WITHOUT)
def test_protocol_needs(case: Case, broken: str) -> None:
    assert broken in explore(case).wrong


def of_any_message(job: Job, entry: Entry, ticket: Ticket, delivery: Delivery, **known: Any) -> Job | None:
    job = replace(job, message_id=delivery.message_id)
    return GIVEN_UP(job, entry, ticket, delivery, **known)


def of_any_generation(job: Job, entry: Entry, ticket: Ticket, delivery: Delivery, **known: Any) -> Job | None:
    return GIVEN_UP(job, replace(entry, generation=job.generation), ticket, delivery, **known)


def of_nothing_that_runs(job: Job, entry: Entry, ticket: Ticket, delivery: Delivery, **known: Any) -> Job | None:
    return job if job.state is JobState.RUNNING else GIVEN_UP(job, entry, ticket, delivery, **known)


GIVEN_UP = decide.given_up
DEAD = Case(edits=False, dead_letters=1)
BURIAL_WITHOUT = {
    "message identity": (of_any_message, replace(DEAD, duplicates=1), "I7"),
    "generations": (of_any_generation, replace(DEAD, operations=("retry",), retries=0, duplicates=1), "I8"),
    "the jobs of lost workers": (of_nothing_that_runs, replace(DEAD, crashes=1), "I1"),
}


@pytest.mark.parametrize(("mutation", "case", "broken"), BURIAL_WITHOUT.values(), ids=BURIAL_WITHOUT)
def test_burial_needs_each_of_its_rules(
    mutation: Callable[..., Job | None], case: Case, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "given_up", mutation)

    assert broken in explore(case).wrong


def test_requeued_job_needs_a_new_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a ticket that was dropped while the job ran can be good again in the hands of a worker that was slow."""
    requeued = decide.requeued
    monkeypatch.setattr(decide, "requeued", lambda job, **fields: replace(requeued(job, **fields), generation=1))

    assert "I1" in explore(Case(workers=3, duplicates=1, losses=1, crash_limit=0)).wrong
