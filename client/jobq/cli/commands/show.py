"""`jobq show`: all that is known of a job."""

from __future__ import annotations

import click

from jobq.cli.describe import describe
from jobq.cli.output import answer_document
from jobq.cli.params import JOB_ID, output_option
from jobq.cli.session import Session


@click.command("show")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, job_id: str, output: str) -> None:
    """Show all that is known of a job, with the last lines of its output.

    \b
    Example:
      jobq show 06by3kq1v0hm-000017
    """
    with session.backend() as backend:
        job = backend.job(job_id)
    if output == "table":
        describe(job)
    else:
        answer_document(job, output)
