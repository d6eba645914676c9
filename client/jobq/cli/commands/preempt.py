"""`jobq preempt`."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.output import answer_document, say
from jobq.cli.params import TEXT, option, output_option
from jobq.cli.selecting import Wanted, confirmed, report, selection_options
from jobq.cli.session import Session


@click.command("preempt")
@selection_options
@option("--worker", type=TEXT, default="", help="A whole worker, as if its machine were to go.")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, worker: str, output: str, **given: Any) -> None:
    """Stop running jobs and put them back in the queue, as if their machine went: a rehearsal.

    They get SIGTERM, the file $JOBQ_PREEMPTED and the worker's --grace, and lose no attempt. With --worker it takes
    nothing new meanwhile, and then goes on, or ends, as its --on-preempt says.

    \b
    Example:
      jobq preempt first-000001
    """
    wanted = Wanted(**given)
    if worker:
        if wanted.ids or wanted.is_bulk:
            raise click.UsageError("--worker goes without ids and without any other choice of jobs")
        with session.backend() as backend:
            done = backend.preempt_worker(worker)
            if output == "table":
                say(f"asked worker {worker}")
            else:
                answer_document(done, output)
        return
    selection = wanted.selection()
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "preempt", yes=given["yes"], states=("running",)):
            return
        report(backend, backend.preempt(selection), "asked the workers of {}", output)
