"""`jobq jobs`: lists, page by page."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.ages import age
from jobq.cli.describe import progress
from jobq.cli.output import answer, answer_json, answer_lines, answer_table, say
from jobq.cli.params import option, output_option
from jobq.cli.selecting import filter_options, make_filter
from jobq.cli.session import Session
from jobq.core.documents import Document
from jobq.reading import Pages

COLUMNS = ("ID", "STATE", "REASON", "TRIES", "LANE", "TAGS", "PUSHED", "PROGRESS", "COMMAND")


@click.command("jobs")
@filter_options
@option("--limit", type=click.IntRange(1), default=50, help="At most so many.")
@option("--all", is_flag=True, help="All that match.")
@output_option("table", "json", "jsonl", "ids")
@click.pass_obj
def command(session: Session, /, limit: int, all: bool, output: str, **given: Any) -> None:
    """List jobs, ordered by id.

    \b
    Examples:
      jobq jobs --tag exp7 --state failed
      jobq jobs --reason oom --text resnet
    """
    where = make_filter(**given)
    with session.backend() as backend:
        pages = Pages(backend, where, None if all else limit)
        if output == "jsonl":
            answer_lines(pages)
        elif output == "ids":
            for job in pages:
                answer(job["id"])
        elif output == "json":
            answer_json({"jobs": list(pages), "next": pages.next})
        else:
            _table(list(pages))
    if pages.next:
        say(f"there are more than {limit:,}; --limit or --all shows them")


def title(job: Document) -> str:
    """The command on one line, or the arguments."""
    if job["command"] is not None:
        return " ".join(job["command"].split())
    if job["kwargs"] is not None:
        return ", ".join(f"{name}={value!r}" for name, value in job["kwargs"].items())
    return "…"  # kept in a blob; `jobq show` fetches it


def _reason(job: Document) -> str | None:
    """`exit 3`, `signal -9`, `oom`; nothing while all is well."""
    code = "" if job["exit_code"] is None else f" {job['exit_code']}"
    return f"{job['reason']}{code}" if job["reason"] else None


def _table(jobs: list[Document]) -> None:
    if not jobs:
        say("no job matches")
        return
    answer_table(
        COLUMNS,
        [
            (
                job["id"],
                job["state"],
                _reason(job),
                job["attempts"],
                ",".join(job["lanes"]),
                ",".join(job["tags"]),
                age(job["pushed_at"]),
                progress(job),
                title(job),
            )
            for job in jobs
        ],
        optional=("PROGRESS",),
    )
