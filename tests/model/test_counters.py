"""I4: counts equal rows whenever nothing is in flight, by the rule that `jobq.core.shard` follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.model.counters import Faults, Rule, explore

ONE_OF_EACH = {
    "none": Faults(),
    "a lost reply": Faults(lost=1),
    "two lost replies": Faults(lost=2),
    "two folds": Faults(folds=2),
    "restarts": Faults(restarts=2),
    "a refused group": Faults(refusals=1),
    "a lost reply, a fold and a restart": Faults(lost=1, folds=1, restarts=1),
    "one of each": Faults(lost=1, folds=1, refusals=1),
}


@pytest.mark.parametrize("faults", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_counts_equal_rows_at_rest(faults: Faults) -> None:
    _, wrong = explore(Rule(), faults)

    assert wrong == ""


NEEDED = {
    "a fenced counter row, for folds": (replace(Rule(), is_fenced=False), Faults(folds=1)),
    "a new writer after a lost reply": (
        replace(Rule(), is_fenced=False, renews_after_lost_reply=False),
        Faults(lost=1),
    ),
    "a start from zero": (replace(Rule(), starts_from_zero=False), Faults(lost=1)),
    "a start from zero, for folds": (replace(Rule(), starts_from_zero=False), Faults(folds=1)),
}


@pytest.mark.parametrize(("rule", "faults"), NEEDED.values(), ids=NEEDED)
def test_rule_needs(rule: Rule, faults: Faults) -> None:
    _, wrong = explore(rule, faults)

    assert wrong
