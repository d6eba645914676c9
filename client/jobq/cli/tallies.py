"""Counts by state, as tables and as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobq.cli.output import answer, answer_table, how_many, say

if TYPE_CHECKING:
    from jobq.core.documents import Document

STATES = ("total", "queued", "running", "succeeded", "failed", "cancelled")
COLUMNS = ("", "NAME", *(state.upper() for state in STATES), "ENDED")
MAX_BATCHES = 20

Row = tuple[object, ...]


def answer_tallies(document: Document) -> None:
    """What remains; then a realm with its lanes, tags and latest batches, or one tag or batch, by state."""
    answer(_what_remains(document))
    answer_table(COLUMNS, tally_rows(document))
    if len(document.get("batches", ())) > MAX_BATCHES:
        say(f"the latest {MAX_BATCHES} of {len(document['batches']):,} batches; `--output json` has them all")
    if "workers" in document:
        say(how_many(document["workers"], "worker"))
    if paused := document.get("paused"):
        say("paused" if "*" in paused else f"paused: lane {', '.join(paused)}")


def tally_rows(document: Document) -> list[Row]:
    kind = next(kind for kind in ("realm", "tag", "batch") if kind in document)
    rows = [_row(kind, document[kind], document)]
    rows += [_row("lane", name, counts) for name, counts in document.get("lanes", {}).items()]
    rows += [_row("tag", name, counts) for name, counts in document.get("tags", {}).items()]
    latest = list(document.get("batches", {}).items())[-MAX_BATCHES:]
    return rows + [_row("batch", name, counts) for name, counts in latest]


def tally_line(document: Document) -> str:
    """`561 of 1,000 ended (56%), 24 running, 415 queued, 7 failed`."""
    ended = _ended(document)
    parts = [f"{ended:,} of {document['total']:,} ended ({_percent(document)})"]
    parts += [
        f"{document[state]:,} {state}" for state in ("running", "queued", "failed", "cancelled") if document[state]
    ]
    return ", ".join(parts)


def remaining(document: Document) -> int:
    """Jobs that have not ended; of a job's own document, 1 until it has."""
    if "state" in document:
        return int(document["state"] in ("queued", "running"))
    return int(document["total"]) - _ended(document)


def _what_remains(document: Document) -> str:
    """`Contains 2 tags with 3 jobs`, of a realm; `1 of 3 jobs remaining`."""
    jobs = remaining(document)
    if "realm" in document:
        tags = sum(remaining(counts) > 0 for counts in document["tags"].values())
        return f"Contains {how_many(tags, 'tag')} with {how_many(jobs)}"
    return f"{jobs:,} of {how_many(document['total'])} remaining"


def _ended(document: Document) -> int:
    return int(document["succeeded"] + document["failed"] + document["cancelled"])


def _percent(document: Document) -> str:
    """Never 100% before the last job."""
    return f"{100 * _ended(document) // document['total']}%" if document["total"] else "-"


def _row(kind: str, name: str, counts: Document) -> Row:
    return (kind, name, *(counts[state] for state in STATES), _percent(counts))
