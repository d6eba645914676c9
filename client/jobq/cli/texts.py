"""Jobs called by their text, as `jobq add` made them: `status arg TEXT`, `remove arg TEXT`."""

from __future__ import annotations

from collections.abc import Sequence

from jobq.errors import BadInput
from jobq.model.names import id_of_text


def text_of(words: Sequence[str]) -> str:
    """Raises BadInput for nothing but spaces."""
    text = " ".join(words).strip()
    if not text:
        raise BadInput("the text is empty")
    return text


def id_of_words(words: Sequence[str]) -> str:
    return id_of_text(text_of(words))
