"""Questions and commands of which a backend does a bounded part a time: asked again until there is no `next`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobq.core.documents import Document


MAX_REFUSED = 100
NOTHING_DONE: Mapping[str, Any] = {"matched": 0, "changed": 0, "refused": []}


def counted(ask: Callable[[str], Document]) -> int:
    """The sum; `ask` takes where to go on."""
    return sum(int(answer["count"]) for answer in _answers(ask))


def carried_out(ask: Callable[[str], Document]) -> Document:
    """`matched, changed, refused` (at most MAX_REFUSED) of a command for many jobs, to its end."""
    return reduce(added, _answers(ask), dict(NOTHING_DONE))


def added(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What two parts of a command have done."""
    done = {name: one[name] + other[name] for name in NOTHING_DONE}
    return done | {"refused": done["refused"][:MAX_REFUSED]}


def _answers(ask: Callable[[str], Document]) -> Iterator[Document]:
    after = ""
    while True:
        answer = ask(after)
        yield answer
        after = answer.get("next") or ""
        if not after:
            return
