"""The addresses of links, such as `amqps://host:port/queue/$DeadLetterQueue/$management`, or only the path."""

from __future__ import annotations

from dataclasses import dataclass

CBS = "$cbs"
"""Where tokens are handed in."""
_MANAGEMENT = "/$management"


@dataclass(frozen=True, slots=True)
class Address:
    """`path` is that of a queue or a dead-letter queue."""

    path: str
    is_management: bool = False
    is_cbs: bool = False


def parse(address: str) -> Address:
    path = path_of(address)
    if path.lower() == CBS:
        return Address("", is_cbs=True)
    is_management = path.lower().endswith(_MANAGEMENT)
    return Address(path[: -len(_MANAGEMENT)] if is_management else path, is_management)


def path_of(address: str) -> str:
    """What comes after scheme, host and port."""
    _, separator, rest = address.partition("://")
    path = rest.partition("/")[2] if separator else address
    return path.strip("/")
