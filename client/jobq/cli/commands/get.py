"""`jobq get`: what the jobs with a tag are to do."""

from __future__ import annotations

import json

import click

from jobq.cli.output import answer, answer_json, answer_lines, printable
from jobq.cli.params import TAG, option, output_option, realm_option
from jobq.cli.session import Session
from jobq.cli.tallies import remaining
from jobq.core.documents import Document
from jobq.model.data import data_of
from jobq.reading import Pages, whole_job


@click.command("get")
@click.argument("tag", type=TAG)
@option("--all", is_flag=True, help="Those that have ended, too.")
@realm_option
@output_option("table", "json", "jsonl", "ids")
@click.pass_obj
def command(session: Session, tag: str, all: bool, output: str) -> None:
    """Print the commands of the jobs with a tag that remain, one after the other; of other jobs the data, as JSON.

    \b
    Example:
      jobq get exp7
    """
    from jobq.core.listing import Filter

    with session.backend() as backend:
        backend.tag_status(tag)  # raises NotFound for one that never was
        found = (job for job in Pages(backend, Filter(tag=tag)) if all or remaining(job))
        jobs = (whole_job(backend, job) for job in found)
        if output == "json":
            answer_json({"jobs": list(jobs)})
        elif output == "jsonl":
            answer_lines(jobs)
        else:
            for job in jobs:
                answer(job["id"] if output == "ids" else _text(job))


def _text(job: Document) -> str:
    data = data_of(job["command"], job["kwargs"])
    return printable(data if isinstance(data, str) else json.dumps(data, ensure_ascii=False))
