"""`status -w`: a picture redrawn on a terminal; elsewhere a line whenever something has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from jobq.cli.describe import state_line
from jobq.cli.looks import Look, Looks, Pace
from jobq.cli.output import answer, answer_lines, is_terminal, printable
from jobq.cli.tallies import remaining, tallies, tally_line
from jobq.model.durations import utc_now

if TYPE_CHECKING:
    from jobq.core.documents import Document


def keep_looking(
    ask: Callable[[], Document], interval: timedelta, form: str, to_draw: Callable[[], Document] | None = None
) -> None:
    """Until nothing remains. `to_draw` is asked in place of `ask` where a picture is drawn."""
    if form == "table" and is_terminal():
        from jobq.cli.canvas import draws, keep_drawing

        if draws():
            keep_drawing(to_draw or ask, interval)
            return
    looks = Looks()
    before: Document | None = None
    while True:
        document = ask()
        look = looks.take(document, utc_now())
        if document != before:
            _tell(look, form)
        if not remaining(document):
            return
        before = document
        time.sleep(interval.total_seconds())


def _tell(look: Look, form: str) -> None:
    if form == "table":
        answer(f"{look.at.astimezone():%H:%M:%S}  {printable(_line(look))}")
    else:
        answer_lines([look.document])


def _line(look: Look) -> str:
    """`561 of 1,000 ended (56%), 24 running, 415 queued, 7 failed, 38 per minute, 11m-14m left`; or of a job."""
    if "state" in look.document:
        return state_line(look.document)
    (label, _), *_ = tallies(look.document)
    pace = look.paces.get(label, Pace())
    return ", ".join([tally_line(look.document), *pace.words()])
