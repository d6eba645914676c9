"""`jobq sweep`."""

from __future__ import annotations

import click

from jobq.cli.output import answer_document, how_many, say
from jobq.cli.params import option, output_option
from jobq.cli.session import Session

_REPAIR = "Queue again whatever no worker holds; when messages were lost or deleted. Remove files that no job names."


@click.command("sweep")
@option("--repair", is_flag=True, help=_REPAIR)
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, repair: bool, output: str) -> None:
    """Repair what a crash left behind. Workers and the control plane do this now and then by themselves.

    \b
    Example:
      jobq sweep
    """
    with session.backend() as backend:
        done = backend.sweep(repair=repair)
    if output != "table":
        answer_document(done, output)
        return
    say(
        f"completed {how_many(done['outbox_rows'], 'interrupted step')}, "
        f"folded {how_many(done['folded'], 'counter row')}, "
        f"forgot {how_many(done['dead_workers'], 'dead worker')}, "
        f"read {how_many(done['dead_letters'], 'dead letter')}, "
        f"queued {how_many(done['repaired'])} again"
        + (f", removed {how_many(done['files'], 'file')} that no job names" if done.get("files") else "")
    )
