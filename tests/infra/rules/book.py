"""What rules are told of `infra/`, and the book they are in.

A rule says what is wrong, one line each, and nothing where all is well; its name is the sentence that then holds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.infra.bicep.deployment import BadTemplate, Deployment
from tests.infra.bicep.resources import deploy
from tests.infra.bicep.syntax import Template, parse

REALMS, LANES = ["default", "night-runs"], ["0", "7", "urgent"]
_FLEET = {"jobqVersion": "1.2.3", "wheelSha256": "a" * 64, "requirementsSha256": "b" * 64}
_VMSS = {"workers": "vmss", "sshPublicKey": "ssh-ed25519 " + "A" * 68, **_FLEET}
_PEOPLE = {"userPrincipalId": "00000000-0000-0000-0000-00000000000f", "userPrincipalType": "Group"}
_MANY = {"name": "twelveletter", "realms": REALMS, "lanes": LANES, "tags": {"team": "night"}}

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "smallest": {"name": "jobq"},
    "container job": {**_MANY, "workers": "acajob", **_FLEET, **_PEOPLE},
    "spot machines": {**_MANY, **_VMSS},
    "regular machines on Service Bus": {
        **_MANY,
        **_VMSS,
        "backend": "servicebus",
        "workerPriority": "Regular",
        "outboundMode": "nat",
    },
    "container job on Service Bus": {**_MANY, "backend": "servicebus", "workers": "acajob", **_FLEET, **_PEOPLE},
}
"""The deployments that are worked out: between them they make all that the templates can make."""


@dataclass(frozen=True, slots=True)
class Infra:
    """The folder's files, and what the deployments of them make. `broken`: which cannot be worked out, and why."""

    folder: Path
    templates: list[Template]
    plans: dict[str, Deployment] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Infra:
        infra = cls(folder, [parse(path) for path in sorted(folder.rglob("*.bicep"))])
        for name, parameters in DEPLOYMENTS.items():
            try:
                infra.plans[name] = deploy(folder / "main.bicep", parameters)
            except BadTemplate as error:
                infra.broken.append(f"{name}: {error}")
        return infra

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")


Rule = Callable[[Infra], Iterable[str]]
RULES: dict[str, Rule] = {}


def rule(check: Rule) -> Rule:
    """Put a rule about the folder into the book."""
    RULES[check.__name__.replace("_", " ")] = check
    return check


def rule_of_each_deployment(check: Callable[[Deployment], Iterable[str]]) -> Callable[[Deployment], Iterable[str]]:
    """Put a rule about a deployment into the book. What is wrong in several is said once."""

    def of_all(infra: Infra) -> Iterator[str]:
        yield from dict.fromkeys(itertools.chain.from_iterable(map(check, infra.plans.values())))

    RULES[check.__name__.replace("_", " ")] = of_all
    return check


def unlike(where: str, at: Callable[[str], Any], expected: dict[str, Any]) -> Iterator[str]:
    """Each path whose value is not the expected one."""
    for path, value in expected.items():
        if at(path) != value:
            yield f"{where}: {path} is {at(path)!r} where it must be {value!r}"
