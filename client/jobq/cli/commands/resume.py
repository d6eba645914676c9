"""`jobq resume`."""

from __future__ import annotations

import click

from jobq.cli.commands.pause import tell
from jobq.cli.params import lane_option, output_option
from jobq.cli.session import Session


@click.command("resume")
@lane_option(help="This lane only.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, lane: str | None, output: str) -> None:
    """Have workers take jobs again after `jobq pause`.

    Workers notice within a minute.

    \b
    Example:
      jobq resume --lane 3
    """
    with session.backend() as backend:
        tell(backend.resume(lane or ""), "resumed", lane, output)
