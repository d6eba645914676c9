"""`jobq retry`."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.params import option, output_option
from jobq.cli.selecting import Wanted, confirmed, report, selection_options
from jobq.cli.session import Session


@click.command("retry")
@selection_options
@option("--failed", is_flag=True, help="Only failed jobs; without it cancelled ones too.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, failed: bool, output: str, **given: Any) -> None:
    """Queue failed or cancelled jobs again, as if they were new.

    \b
    Example:
      jobq retry --failed --tag exp7
    """
    if failed and (given["ids"] or given["state"]):
        raise click.UsageError("--failed goes with --tag, --batch, --lane or nothing, not with ids or --state")
    if failed:
        given["state"] = "failed"
    selection = Wanted(**given).selection()
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "retry", yes=given["yes"], states=("failed", "cancelled")):
            return
        report(backend, backend.retry(selection), "queued {} again", output)
