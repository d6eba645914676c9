"""`jobq ack`."""

from __future__ import annotations

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import JOB_ID, JSON, TEXT, option, output_option, realm_option, token_option
from jobq.cli.session import Session
from jobq.model.job import Json


@click.command("ack")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@token_option
@option("--result", type=JSON, help="What came out, as JSON; it is stored with the job.")
@option("--message", type=TEXT, default="", help="A word for whoever looks at the job.")
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, job_id: str, token: str, result: Json, message: str, output: str) -> None:
    """Say that a job that was pulled with --print is done: it has succeeded.

    If its lease was lost meanwhile, to its end or to `jobq remove`, nothing is changed, and the exit code is 1.

    \b
    Example:
      jobq ack first-000001 --token 06by3kq1v0hm --result '{"loss": 0.25}'
    """
    with session.backend() as backend:
        job = backend.ack(job_id, token, result=result, message=message)
    if output == "table":
        say(f"job {job_id} is {job['state']}")
    else:
        answer_document(job, output)
