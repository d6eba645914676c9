"""Checkout in the model: the rules hold for callers beside workers, and each of them is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobq.core import acknowledge, decide
from tests.model.explore import explore
from tests.model.states import Case, Rules
from tests.model.test_protocol import ONE_OF_EACH, taking_over_by_any_ticket

OUT = Case(callers=True, has_workers=False, retries=0)
EXTENDED = replace(OUT, extends=1)

SCENARIOS = {
    "checkout": OUT,
    "a retry": replace(OUT, retries=1, crash_limit=0),
    "extend": EXTENDED,
    "a duplicate ticket": replace(OUT, duplicates=1),
    "cancel": replace(EXTENDED, operations=("cancel",), may_fail=False),
    "remove": replace(OUT, operations=("remove",)),
    "remove, then push again": replace(OUT, operations=("remove", "push"), may_fail=False),
    "callers beside workers": replace(OUT, has_workers=True),
}


@pytest.mark.parametrize("faults", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
@pytest.mark.parametrize("case", SCENARIOS.values(), ids=SCENARIOS)
def test_rules_hold_with_one_fault(case: Case, faults: dict[str, int]) -> None:
    assert explore(replace(case, **faults)).wrong == {}  # type: ignore[arg-type]  # counts


FURTHER = {
    "a crash and a lost lease": replace(OUT, crashes=1, losses=1),
    "a crash and a lost reply": replace(OUT, crashes=1, lost_replies=1),
    "a lost lease and a lost reply": replace(OUT, losses=1, lost_replies=1),
    "two lost replies, extended": replace(EXTENDED, lost_replies=2),
    "a lost lease and a lost reply, extended": replace(EXTENDED, losses=1, lost_replies=1),
    "extended twice and a lost lease": replace(OUT, extends=2, losses=1),
    "extended, beside workers, and a crash": replace(EXTENDED, has_workers=True, crashes=1),
    "a retry, beside workers, and a lost lease": replace(OUT, has_workers=True, retries=1, losses=1),
    "Service Bus, beside workers, and a dead letter": replace(OUT, has_workers=True, edits=False, dead_letters=1),
}


@pytest.mark.parametrize("case", FURTHER.values(), ids=FURTHER)
def test_rules_hold_further(case: Case) -> None:
    assert explore(case).wrong == {}


WITHOUT = {
    "the next ticket's name in the claim": (replace(OUT, crashes=1, rules=Rules(next_named=False)), "I1"),
    "the next ticket before the completion": (replace(OUT, crashes=1, rules=Rules(next_first=False)), "I1"),
    "a completion before the answer": (replace(OUT, lost_replies=1, rules=Rules(completed_only=False)), "I6"),
    "a promise of the next ticket": (replace(EXTENDED, crashes=1, rules=Rules(next_promised=False)), "I1"),
    "the ticket's id in the promise": (replace(EXTENDED, crashes=2, rules=Rules(promises_keep_ids=False)), "I1"),
}


@pytest.mark.parametrize(("case", "broken"), WITHOUT.values(), ids=WITHOUT)
def test_checkout_needs(case: Case, broken: str) -> None:
    assert broken in explore(case).wrong


def test_ticket_that_was_replaced_must_not_take_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "judge", taking_over_by_any_ticket(decide.judge))

    assert "I6" in explore(EXTENDED).wrong


def test_caller_must_show_its_own_token(monkeypatch: pytest.MonkeyPatch) -> None:
    held = acknowledge.held
    monkeypatch.setattr(acknowledge, "held", lambda job, job_id, token: held(job, job_id, job.claim if job else ""))

    assert "I3" in explore(replace(OUT, losses=1)).wrong
