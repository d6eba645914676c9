"""Roles on Azure, in the words that give them to somebody."""

from __future__ import annotations

from dataclasses import dataclass

ANYBODY = "--assignee <user or client id>"
"""In a command, where it is not known who lacks the role."""


@dataclass(frozen=True, slots=True)
class Who:
    """The identity that this machine has logged in as."""

    name: str
    object_id: str = ""
    kind: str = ""
    """`User` or `ServicePrincipal`, as role assignments call it; a managed identity is one of the latter."""
    tenant: str = ""

    def in_command(self, text: str) -> str:
        """The text with this identity in place of ANYBODY, by its object id: finding that takes no directory rights."""
        if not self.object_id:
            return text
        return text.replace(ANYBODY, f"--assignee-object-id {self.object_id} --assignee-principal-type {self.kind}")


def assignment(role: str, scope: str) -> str:
    """The command that assigns the role. `scope`: the id of a resource, or a command for a shell to find it by."""
    return f'az role assignment create {ANYBODY} --role "{role}" --scope {scope}'
