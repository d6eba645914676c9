"""`jobq clear`."""

from __future__ import annotations

import click

from jobq.cli.params import LANE, option, output_option
from jobq.cli.selecting import confirmed, make_filter, report
from jobq.cli.session import Session


@click.command("clear")
@click.argument("lane", type=LANE)
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, lane: str, yes: bool, output: str) -> None:
    """Delete the jobs that are queued in a lane; running ones go on.

    \b
    Example:
      jobq clear 0 --yes
    """
    with session.backend() as backend:
        where = make_filter(lane=lane, state="queued")
        if confirmed(backend, where, "remove", yes=yes, must_be_sure=True):
            report(backend, backend.clear(lane), "removed {}", output)
