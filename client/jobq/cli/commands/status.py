"""`jobq status`: how far it is, once or again and again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import click

from jobq.backend import Backend
from jobq.cli.describe import describe, describe_argument
from jobq.cli.output import answer_document
from jobq.cli.params import POSITIVE, TEXT, option, output_option, realm_option
from jobq.cli.session import Session
from jobq.cli.tallies import answer_tallies, status_of
from jobq.cli.texts import id_of_words
from jobq.cli.watching import keep_looking
from jobq.core.documents import Document
from jobq.errors import NotFound

Ask = Callable[[], Document]
REALM: tuple[tuple[str, ...], ...] = ((), ("realm",))


@click.command("status")
@click.argument("what", nargs=-1, type=TEXT, metavar="[realm | tag T | batch B | job ID | arg TEXT]")
@option("-w", "--watch", is_flag=True, help="Look again and again, until nothing remains.")
@option("--interval", type=POSITIVE, default="2s", help="Between two looks.")
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, what: tuple[str, ...], watch: bool, interval: timedelta, output: str) -> None:
    """Count the jobs of the realm, a tag or a batch by state. A name alone is looked up as batch, job and tag.

    `arg TEXT` is the job that `jobq add TEXT` has made: its tags, its lanes, and for how long it is checked out.

    \b
    Examples:
      jobq status tag exp7 -w
      jobq status arg 'ls -lah'
    """
    with session.backend() as backend:
        ask = _question(backend, what)
        if watch:
            keep_looking(ask, interval, output, _to_draw(backend, what))
            return
        document = ask()
    if output != "table":
        answer_document(document, output)
    elif what[:1] == ("arg",):
        describe_argument(document)
    elif "id" in document:
        describe(document)
    else:
        answer_tallies(document)


def _question(backend: Backend, what: tuple[str, ...]) -> Ask:
    kinds: dict[str, Callable[[str], Document]] = {
        "tag": backend.tag_status,
        "batch": backend.batch_status,
        "job": backend.job,
    }
    if what in REALM:
        return backend.status
    if len(what) == 2 and what[0] in kinds:
        kind, name = what
        return lambda: kinds[kind](name)
    if what[0] == "arg" and len(what) > 1:
        job_id = id_of_words(what[1:])
        return lambda: backend.job(job_id)
    if len(what) != 1 or what[0] in kinds:
        raise click.UsageError("write `status`, `status tag T`, `status batch B`, `status job ID` or `status arg TEXT`")
    return _by_name(kinds, what[0])


def _to_draw(backend: Backend, what: tuple[str, ...]) -> Ask | None:
    """Of a realm its summary, which knows more, and costs the same however many batches there are."""
    return (lambda: status_of(backend.summary())) if what in REALM else None


def _by_name(kinds: dict[str, Callable[[str], Document]], name: str) -> Ask:
    for kind in ("batch", "job", "tag"):
        try:
            kinds[kind](name)
        except NotFound:
            continue
        return lambda kind=kind: kinds[kind](name)  # type: ignore[misc]  # binds the kind of this turn
    raise NotFound(f"there is no batch, job or tag {name!r}; `jobq status` lists what there is")
