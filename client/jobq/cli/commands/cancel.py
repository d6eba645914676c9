"""`jobq cancel`."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.params import TEXT, option, output_option
from jobq.cli.selecting import Wanted, confirmed, report, selection_options
from jobq.cli.session import Session


@click.command("cancel")
@selection_options
@option("--message", type=TEXT, default="", help="Why, for whoever looks at the jobs.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, message: str, output: str, **given: Any) -> None:
    """Cancel jobs: queued ones never start, running ones are stopped by their workers.

    \b
    Example:
      jobq cancel --batch 06by3kq1v0hm
    """
    selection = Wanted(**given).selection()
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "cancel", yes=given["yes"], states=("queued", "running")):
            return
        report(backend, backend.cancel(selection, message=message), "cancelled {}", output)
