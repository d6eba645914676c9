"""`jobq list`: the realms of the account, namespace, folder or service."""

from __future__ import annotations

import click

from jobq.cli.output import answer, answer_json, answer_lines, answer_table, say
from jobq.cli.params import output_option, realm_option
from jobq.cli.session import Session


@click.command("list")
@realm_option
@output_option("table", "json", "jsonl", "ids")
@click.pass_obj
def command(session: Session, output: str) -> None:
    """List the realms beside this one.

    \b
    Example:
      jobq mystorage/exp7 list
    """
    with session.backend() as backend:
        document = backend.realms()
    if output == "json":
        answer_json(document)
    elif output == "jsonl":
        answer_lines({"realm": name} for name in document["realms"])
    elif output == "ids":
        for name in document["realms"]:
            answer(name)
    elif document["realms"]:
        answer_table(("REALM",), [(name,) for name in document["realms"]])
    else:
        say("there is no realm here yet; the first push makes one")
