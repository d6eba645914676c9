"""Questions and commands of which a backend does a bounded part a time: asked again until there is no `next`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobq.core.documents import Document


def counted(ask: Callable[[str], Document]) -> int:
    """The sum; `ask` takes where to go on."""
    return sum(int(answer["count"]) for answer in _answers(ask))


def _answers(ask: Callable[[str], Document]) -> Iterator[Document]:
    after = ""
    while True:
        answer = ask(after)
        yield answer
        after = answer.get("next") or ""
        if not after:
            return
