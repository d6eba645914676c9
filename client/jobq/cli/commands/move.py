"""`jobq move`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from jobq.cli.params import BATCH, JOB_ID, LANE, STATE, TAG, option, output_option, realm_option
from jobq.cli.selecting import Wanted, confirmed, detail_options, report
from jobq.cli.session import Session


@click.command("move")
@click.argument("ids", nargs=-1, type=JOB_ID)
@option("--from", "source", type=LANE, required=True, help="The lane that they are in.")
@option("--to", "target", type=LANE, required=True, help="The lane that they go to.")
@option("--tag", type=TAG, help="Only jobs with this tag.")
@option("--batch", type=BATCH, help="Only jobs of this push.")
@option("--state", type=STATE, help="Only jobs in this state; others than queued ones are refused.")
@detail_options
@option("--all", is_flag=True, help="All queued jobs of the lane.")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, source: str, target: str, output: str, **given: Any) -> None:
    """Move queued jobs from one lane to another; a job's other lanes stay. What runs or is checked out is refused.

    \b
    Examples:
      jobq move first-000001 --from 0 --to 7
      jobq move --tag exp7 --from 3 --to 1
    """
    if source == target:
        raise click.UsageError(f"--from and --to are both {source}")
    selection = Wanted(lane=None, **given).selection()
    if selection.where:
        selection = replace(selection, where=replace(selection.where, lane=source))
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "move", yes=given["yes"], states=("queued",)):
            return
        report(backend, backend.move(selection, source=source, target=target), f"moved {{}} to lane {target}", output)
