"""What the templates make obeys every rule of the book."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.book_of_rules import RULES
from tests.infra.rules.book import Infra

FOLDER = Path(__file__).resolve().parents[2] / "infra"


@pytest.fixture(scope="module")
def infra() -> Infra:
    return Infra.read(FOLDER)


@pytest.mark.parametrize("sentence", RULES)
def test_rule_holds(infra: Infra, sentence: str) -> None:
    assert [*RULES[sentence](infra)] == []
