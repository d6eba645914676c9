"""What a deployment of a template would make: its resources, with names and properties worked out, and its outputs.

Nothing is asked of Azure: what only a deployment knows stays a `Later`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.infra.bicep.functions import Later

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"


class BadTemplate(Exception):
    """The template cannot be worked out; the message says where and why."""


@dataclass(slots=True)
class Made:
    """A resource of a deployment. `name` has its parents' names; `scope` is the id of what an extension applies to."""

    type: str
    version: str
    name: str
    id: str
    scope: str
    body: dict[str, Any]
    where: str
    symbol: str
    existing: bool = False
    wanted: bool = True
    nested: dict[str, Made] = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, Any]:
        found = self.body.get("properties", {})
        return found if isinstance(found, dict) else {}

    @property
    def last_name(self) -> str:
        return self.name.rpartition("/")[2]

    def at(self, path: str) -> Any:
        """A property by its dotted path, None where it is not there."""
        found: Any = self.body
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def read(self, name: str) -> Any:
        """What `symbol.name` gives in a template."""
        plain = {"id": self.id, "name": self.name, "type": self.type, "apiVersion": self.version}
        if name in plain:
            return plain[name]
        found = self.body.get(name)
        return _answer(self, name, found)


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of a resource that is read back: what the template set, else what only Azure knows."""

    of: Made
    path: str
    known: dict[str, Any] | list[Any] | None

    def read(self, name: str | int) -> Any:
        if isinstance(self.known, list):
            return _answer(self.of, f"{self.path}[{name}]", self.known[int(name)])
        return _answer(self.of, f"{self.path}.{name}", self.known.get(str(name)) if self.known else None)

    @property
    def settled(self) -> Any:
        return self.known if self.known is not None else Later(f"<{self.of.id}>.{self.path}")


def _answer(made: Made, path: str, found: Any) -> Any:
    return Answer(made, path, found) if found is None or isinstance(found, dict | list) else found


@dataclass(slots=True)
class Deployment:
    """What one deployment makes."""

    group: str
    location: str
    resources: list[Made] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    """Where every resource and module was declared that this deployment makes."""

    @property
    def group_id(self) -> str:
        return f"{SUBSCRIPTION}/resourceGroups/{self.group}"

    def of_type(self, *types: str) -> Iterator[Made]:
        wanted = {type.lower() for type in types}
        return (made for made in self.resources if made.type.lower() in wanted)

    def by_id(self, id: str) -> Made | None:
        return next((made for made in self.resources if made.id == id), None)

    def within(self, parent: Made, type: str) -> Iterator[Made]:
        return (made for made in self.of_type(type) if made.id.startswith(parent.id + "/"))


def settled(value: Any) -> Any:
    """A value that can be written into a resource."""
    if isinstance(value, Answer):
        return value.settled
    if isinstance(value, list):
        return [settled(item) for item in value]
    if isinstance(value, dict):
        return {key: settled(item) for key, item in value.items()}
    return value


def id_of(base: str, type: str, name: str) -> str:
    """An ARM id: the type's words and the name's in turns, below `base`."""
    provider, *words = type.split("/")
    pairs = zip(words, name.split("/"), strict=True)
    return f"{base}/providers/{provider}/" + "/".join(f"{word}/{own}" for word, own in pairs)
