"""`jobq extend`."""

from __future__ import annotations

from datetime import timedelta

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import JOB_ID, LEASE, option, output_option, realm_option, token_option
from jobq.cli.session import Session


@click.command("extend")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@token_option
@option("--lease", "--visibility-timeout", "lease", type=LEASE, help="From now on; else as long as the lane's.")
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, job_id: str, token: str, lease: timedelta | None, output: str) -> None:
    """Hold a job that was pulled with --print for longer.

    If its lease was lost meanwhile, to its end or to `jobq remove`, nothing is changed, and the exit code is 1.

    \b
    Example:
      jobq extend first-000001 --token 06by3kq1v0hm --lease 1h
    """
    with session.backend() as backend:
        held = backend.extend(job_id, token, lease=lease)
    if output != "table":
        answer_document(held, output)
        return
    say(f"job {job_id} is yours until {held['expires_at']}")
    if held["cancel_requested"]:
        say("it is to be cancelled: stop it, and give it back with `jobq nack`")
