"""`jobq drain`."""

from __future__ import annotations

import click

from jobq.cli.commands.workers import having
from jobq.cli.output import answer_document, how_many, say
from jobq.cli.params import LABEL, TEXT, option, output_option
from jobq.cli.session import Session
from jobq.errors import BadInput


@click.command("drain")
@click.argument("workers", nargs=-1, metavar="[WORKER]...", type=TEXT)
@option("--label", multiple=True, type=LABEL, help="All workers with this label; may be repeated.")
@option("--all", is_flag=True, help="All workers of the realm.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(
    session: Session, /, workers: tuple[str, ...], label: tuple[tuple[str, str], ...], all: bool, output: str
) -> None:
    """Have workers finish what they run, take nothing new, and end. They notice at their next heartbeat.

    \b
    Example:
      jobq drain --label gpu=a100
    """
    if bool(workers) + bool(label) + all != 1:
        raise BadInput("say which workers: by their ids, or by --label, or --all")
    with session.backend() as backend:
        ids = list(workers) or [worker["id"] for worker in having(backend.workers()["workers"], label)]
        for worker in ids:
            backend.drain_worker(worker)
    if output == "table":
        say(f"asked {how_many(len(ids), 'worker')} to end" if ids else "no worker matches")
    else:
        answer_document({"workers": ids}, output)
