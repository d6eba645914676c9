"""`jobq remove`."""

from __future__ import annotations

from typing import Any

import click

from jobq.cli.params import TEXT, output_option, realm_option
from jobq.cli.selecting import Wanted, bulk_options, confirmed, report
from jobq.cli.session import Session
from jobq.cli.texts import id_of_words
from jobq.model import names


@click.command("remove")
@click.argument("words", nargs=-1, type=TEXT, metavar="[ID... | arg TEXT | tag T]")
@bulk_options
@realm_option
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, /, words: tuple[str, ...], output: str, **given: Any) -> None:
    """Delete jobs and what is kept of them; running ones are stopped first, what is checked out goes at once.

    `arg TEXT` is the job that `jobq add TEXT` has made, `tag T` is --tag T. Where `arg` or `tag` comes first and more
    words follow, it is never an id; alone it is.

    \b
    Examples:
      jobq remove --tag exp6 --state succeeded --yes
      jobq remove arg 'ls -lah'
    """
    selection = Wanted(**_read(words, given)).selection()
    with session.backend() as backend:
        where = selection.where
        if where and not confirmed(backend, where, "remove", yes=given["yes"], must_be_sure=True):
            return
        report(backend, backend.remove(selection), "removed {}", output)


def _read(words: tuple[str, ...], given: dict[str, Any]) -> dict[str, Any]:
    """With `ids`, and with the tag that follows `tag`."""
    if words[:1] == ("arg",) and words[1:]:
        return {**given, "ids": (id_of_words(words[1:]),)}
    if words[:1] == ("tag",) and words[1:]:
        if words[2:] or given["tag"]:
            raise click.UsageError("write `remove tag T`, with one tag")
        return {**given, "ids": (), "tag": names.tag_name(words[1])}
    return {**given, "ids": tuple(map(names.job_id, words))}
