"""Questions and commands of which a backend does a bounded part a time: asked again until there is no `next`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jobq.errors import Unreachable

if TYPE_CHECKING:
    from jobq.core.documents import Document


MAX_REFUSED = 100
NOTHING_DONE: Mapping[str, Any] = {"matched": 0, "changed": 0, "refused": []}


def counted(ask: Callable[[str], Document]) -> int:
    """The sum; `ask` takes where to go on."""
    return sum(int(answer["count"]) for answer in _answers(ask))


def carried_out(ask: Callable[[str], Document]) -> Document:
    """`matched, changed, refused` (at most MAX_REFUSED) of a command for many jobs, to its end.

    Raises Unreachable, which says how far it has come.
    """
    done = dict(NOTHING_DONE)
    try:
        for answer in _answers(ask):
            done = added(done, answer)
    except Unreachable as error:
        if not done["matched"]:
            raise
        said = f"{done['changed']:,} jobs were changed before that; the same command again does the rest"
        raise Unreachable(f"{str(error).rstrip('.')}; {said}") from error
    return done


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
