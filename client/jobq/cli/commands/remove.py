"""`jobq remove`."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.params import output_option
from jobq.cli.selecting import Wanted, confirmed, report, selection_options
from jobq.cli.session import Session


@click.command("remove")
@selection_options
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, output: str, **given: Any) -> None:
    """Delete jobs and what is kept of them; running ones are stopped first.

    \b
    Example:
      jobq remove --tag exp6 --state succeeded --yes
    """
    selection = Wanted(**given).selection()
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "remove", yes=given["yes"], must_be_sure=True):
            return
        report(backend, backend.remove(selection), "removed {}", output)
