"""`jobq resume`."""

from __future__ import annotations

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import LANE, option, output_option
from jobq.cli.session import Session


@click.command("resume")
@option("--lane", type=LANE, help="This lane only.")
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
        done = backend.resume(lane or "")
    if output == "table":
        say(f"resumed lane {lane} of {done['realm']}" if lane else f"resumed {done['realm']}")
    else:
        answer_document(done, output)
