"""Counts by state, as tables and as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobq.cli.output import answer, answer_table, how_many, say

if TYPE_CHECKING:
    from jobq.core.documents import Document

STATES = ("total", "queued", "running", "succeeded", "failed", "cancelled")
COLUMNS = ("", "NAME", *(state.upper() for state in STATES), "ENDED")
MAX_BATCHES = 20

Row = tuple[object, ...]
Label = tuple[str, str]
"""Realm, lane, tag or batch; and its name."""


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


def tallies(document: Document) -> Iterator[tuple[Label, Document]]:
    """The counts of a realm and of its lanes, tags and batches; of one tag or batch; of a job none."""
    if "state" in document:
        return
    kind = next(kind for kind in ("realm", "tag", "batch") if kind in document)
    yield (kind, document[kind]), document
    for part, parts in (("lane", "lanes"), ("tag", "tags"), ("batch", "batches")):
        for name, counts in document.get(parts, {}).items():
            yield (part, name), counts


def status_of(summary: Document) -> Document:
    """A realm's summary in the shape of its status, with what it has besides: rates, and kinds of failures."""
    ended_a_minute = [summary["per_minute"][state] for state in ("succeeded", "failed")]
    latest_last = sorted(summary["batches"], key=lambda batch: (batch["pushed_at"] or "", batch["batch"]))
    return {
        "realm": summary["realm"],
        **summary["counts"],
        "workers": summary["workers"],
        "paused": summary["paused"],
        "lanes": {counts["lane"]: counts for counts in summary["lanes"]},
        "tags": {counts["tag"]: counts for counts in summary["tags"]},
        "batches": {counts["batch"]: counts for counts in latest_last},
        "per_minute": None if None in ended_a_minute else sum(ended_a_minute),
        "eta_seconds": summary["eta_seconds"],
        **{name: summary[name] for name in ("failures", "more_tags", "more_batches", "more_failures")},
    }


def tally_rows(document: Document) -> list[Row]:
    older = {("batch", name) for name in list(document.get("batches", ()))[:-MAX_BATCHES]}
    return [_row(label, counts) for label, counts in tallies(document) if label not in older]


def tally_line(document: Document) -> str:
    """`561 of 1,000 ended (56%), 24 running, 415 queued, 7 failed`."""
    parts = [f"{ended(document):,} of {document['total']:,} ended ({percent(document)})"]
    parts += [
        f"{document[state]:,} {state}" for state in ("running", "queued", "failed", "cancelled") if document[state]
    ]
    return ", ".join(parts)


def remaining(document: Document) -> int:
    """Jobs that have not ended; of a job's own document, 1 until it has."""
    if "state" in document:
        return int(document["state"] in ("queued", "running"))
    return int(document["total"]) - ended(document)


def ended(document: Document) -> int:
    return int(document["succeeded"] + document["failed"] + document["cancelled"])


def percent(document: Document) -> str:
    """Never 100% before the last job."""
    return f"{100 * ended(document) // document['total']}%" if document["total"] else "-"


def _what_remains(document: Document) -> str:
    """`Contains 2 tags with 3 jobs`, of a realm; `1 of 3 jobs remaining`."""
    jobs = remaining(document)
    if "realm" in document:
        tags = sum(remaining(counts) > 0 for counts in document["tags"].values())
        return f"Contains {how_many(tags, 'tag')} with {how_many(jobs)}"
    return f"{jobs:,} of {how_many(document['total'])} remaining"


def _row(label: Label, counts: Document) -> Row:
    return (*label, *(counts[state] for state in STATES), percent(counts))
