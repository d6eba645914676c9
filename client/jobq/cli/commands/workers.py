"""`jobq workers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jobq.cli.ages import age
from jobq.cli.output import answer, answer_json, answer_lines, answer_table, say
from jobq.cli.params import LABEL, option, output_option
from jobq.cli.session import Session

if TYPE_CHECKING:
    from jobq.core.documents import Document


_OPTIONAL = ("GPU", "GPU MEMORY", "IMAGE")
COLUMNS = ("ID", "HOST", "SLOTS", "RUNNING", "CPU", "MEMORY", *_OPTIONAL, "LABELS", "STATE", "HEARD")


@click.command("workers")
@option("--label", multiple=True, type=LABEL, help="Only workers with this label; may be repeated.")
@output_option("table", "json", "jsonl", "ids")
@click.pass_obj
def command(session: Session, label: tuple[tuple[str, str], ...], output: str) -> None:
    """List the live workers: what they run, how busy their machines are, when they were heard of last.

    \b
    Example:
      jobq workers --label gpu=a100
    """
    with session.backend() as backend:
        workers = having(backend.workers()["workers"], label)
    if output == "json":
        answer_json({"workers": workers})
    elif output == "jsonl":
        answer_lines(workers)
    elif output == "ids":
        for worker in workers:
            answer(worker["id"])
    elif workers:
        answer_table(COLUMNS, [_row(worker) for worker in workers], optional=_OPTIONAL)
    else:
        say("no worker is at work here")


def having(workers: list[Document], labels: tuple[tuple[str, str], ...]) -> list[Document]:
    return [worker for worker in workers if {*labels} <= {*worker["labels"].items()}]


def _row(worker: Document) -> tuple[object, ...]:
    return (
        worker["id"],
        worker["host"],
        worker["slots"],
        len(worker["running"]),
        _percent(worker["cpu"]),
        _percent(worker["memory"]),
        " ".join(_percent(gpu["use"]) or "?" for gpu in worker["gpus"]),
        " ".join(_percent(gpu["memory"]) or "?" for gpu in worker["gpus"]),
        _short(worker["image"] or ""),
        ", ".join(f"{name}={value}" for name, value in sorted(worker["labels"].items())),
        "draining" if worker["draining"] else "working" if worker["running"] else "idle",
        age(worker["beat_at"]),
    )


def _short(image: str) -> str:
    """`acme.azurecr.io/team/fit@sha256:0123456789abcdef…` as `fit@0123456789ab`."""
    name, at, digest = image.rpartition("/")[2].partition("@")
    return f"{name}{at}{digest.removeprefix('sha256:')[:12]}"


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.0%}"
