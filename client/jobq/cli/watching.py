"""`status -w`: a table redrawn on a terminal; elsewhere a line whenever something has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobq.cli.describe import progress
from jobq.cli.output import answer, answer_lines, drawn_table, is_terminal, printable
from jobq.cli.tallies import COLUMNS, remaining, tally_line, tally_rows

if TYPE_CHECKING:
    from jobq.core.documents import Document


def keep_looking(ask: Callable[[], Document], interval: timedelta, form: str) -> None:
    """Until nothing remains."""
    if form == "table" and is_terminal():
        _redraw(ask, interval)
        return
    before: Document | None = None
    while True:
        document = ask()
        if document != before:
            _tell(document, form)
        if not remaining(document):
            return
        before = document
        time.sleep(interval.total_seconds())


def _tell(document: Document, form: str) -> None:
    if form == "table":
        answer(f"{datetime.now(UTC).astimezone():%H:%M:%S}  {printable(_line(document))}")
    else:
        answer_lines([document])


def _line(document: Document) -> str:
    return _state(document) if "state" in document else tally_line(document)


def _state(job: Document) -> str:
    """`running, 40 % epoch 12`."""
    return ", ".join(filter(None, (job["state"], progress(job))))


def _redraw(ask: Callable[[], Document], interval: timedelta) -> None:
    from rich.live import Live

    document = ask()
    with Live(_drawn(document), auto_refresh=False) as live:
        while remaining(document):
            time.sleep(interval.total_seconds())
            document = ask()
            live.update(_drawn(document), refresh=True)


def _drawn(document: Document) -> Any:
    if "state" in document:
        return f"{document['id']}: {printable(_state(document))}"
    return drawn_table(COLUMNS, tally_rows(document))
