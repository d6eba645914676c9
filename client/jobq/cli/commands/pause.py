"""`jobq pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import lane_option, output_option
from jobq.cli.session import Session

if TYPE_CHECKING:
    from jobq.core.documents import Document


@click.command("pause")
@lane_option(help="This lane only.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, lane: str | None, output: str) -> None:
    """Have workers take nothing new from the queue, or from one lane of it; what runs goes on.

    Workers notice within a minute.

    \b
    Example:
      jobq pause --lane 3
    """
    with session.backend() as backend:
        tell(backend.pause(lane or ""), "paused", lane, output)


def tell(done: Document, what: str, lane: str | None, output: str) -> None:
    if output == "table":
        say(f"{what} lane {lane} of {done['realm']}" if lane else f"{what} {done['realm']}")
    else:
        answer_document(done, output)
