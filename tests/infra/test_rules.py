"""What the templates make obeys every rule of the book, and Azure's own types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.infra.bicep.azure_types import AzureTypes
from tests.infra.bicep.resources import deploy
from tests.infra.book_of_rules import RULES
from tests.infra.conftest import FOLDER
from tests.infra.rules.book import Infra
from tests.infra.rules.data import names_are_of_a_length_and_of_letters_that_azure_allows


@pytest.mark.parametrize("sentence", RULES)
def test_rule_holds(infra: Infra, sentence: str) -> None:
    assert [*RULES[sentence](infra)] == []


def test_every_property_is_one_that_azure_knows(infra: Infra, azure_types: AzureTypes) -> None:
    made = [made for plan in infra.plans.values() for made in plan.resources]

    problems = {problem for one in made for problem in azure_types.problems_of(one)}

    assert len(made) > 100
    assert problems == set()


LONGEST = "abcdefghijkl"


@pytest.mark.parametrize("name", ["abc", "jobq2", LONGEST])
@pytest.mark.parametrize("fleet", [{"workers": "acajob"}, {"workers": "vmss", "backend": "servicebus"}])
def test_names_of_a_deployment_are_allowed_and_stay_the_same(name: str, fleet: dict[str, Any]) -> None:
    parameters = {
        "name": name,
        "realms": ["abc", "a-realm-of-forty-letters-0123456789012345"],
        "lanes": ["0", "abcdefghijkl"],
        "wheelSha256": "a" * 64,
        "requirementsSha256": "b" * 64,
        "sshPublicKey": "ssh-ed25519 " + "A" * 68,
        **fleet,
    }

    first, again = (deploy(FOLDER / "main.bicep", parameters, group="rg") for _ in range(2))
    elsewhere = deploy(FOLDER / "main.bicep", parameters, group="rg-other")

    assert [*names_are_of_a_length_and_of_letters_that_azure_allows(first)] == []
    assert [made.id for made in first.resources] == [made.id for made in again.resources]
    assert first.outputs["JOBQ_STORAGE"] != elsewhere.outputs["JOBQ_STORAGE"]
