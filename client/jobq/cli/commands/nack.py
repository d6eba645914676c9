"""`jobq nack`."""

from __future__ import annotations

from datetime import timedelta

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import DURATION, JOB_ID, TEXT, option, output_option, realm_option, token_option
from jobq.cli.session import Session


@click.command("nack")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@token_option
@option("--failed", is_flag=True, help="The job was tried and has failed: its retries say what becomes of it.")
@option("--exit-code", type=click.IntRange(-255, 255), help="With --failed: that of its command.")
@option("--message", type=TEXT, default="", help="Why, for whoever looks at the job.")
@option("--delay", type=DURATION, help="Keep it from others for so long.")
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(
    session: Session,
    job_id: str,
    token: str,
    failed: bool,
    exit_code: int | None,
    message: str,
    delay: timedelta | None,
    output: str,
) -> None:
    """Give a job that was pulled with --print back, for anybody to take; or say, with --failed, that it failed.

    If its lease was lost meanwhile, to its end or to `jobq remove`, nothing is changed, and the exit code is 1.

    \b
    Example:
      jobq nack first-000001 --token 06by3kq1v0hm --failed --exit-code 3
    """
    if exit_code is not None and not failed:
        raise click.UsageError("--exit-code goes with --failed")
    with session.backend() as backend:
        job = backend.nack(job_id, token, failed=failed, exit_code=exit_code, message=message, delay=delay)
    if output == "table":
        say(f"job {job_id} is {job['state']}")
    else:
        answer_document(job, output)
