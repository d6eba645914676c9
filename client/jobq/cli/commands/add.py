"""`jobq add`: one job, whose id is made from its text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from jobq.cli.output import answer, answer_document, say
from jobq.cli.params import TEXT, output_option, realm_option
from jobq.cli.session import Session
from jobq.cli.spec_options import spec_of, spec_options, store
from jobq.cli.texts import id_of_words, text_of
from jobq.core.push import check_payload
from jobq.errors import IllegalTransition
from jobq.model.job import IfExists, NewJob
from jobq.model.names import ADDED, new_token
from jobq.shipping import pack


@click.command("add")
@click.argument("words", metavar="ARG...", nargs=-1, required=True, type=TEXT)
@spec_options
@realm_option
@output_option("table", "json", "jsonl", "ids")
@click.pass_obj
def command(session: Session, /, words: tuple[str, ...], output: str, **given: Any) -> None:
    """Put one job in the queue: a shell command, or any text for whoever pulls it.

    Its id is made from the text, so the same text again is the same job: tags and lanes are added to it, and if it has
    ended it is queued again. Another environment or other files are a conflict, and refused. Several words are joined
    by a space; quote a command that has options of its own, or put it after `--`.

    \b
    Examples:
      jobq add --tags=work,fun 'ls -lah'
      jobq add --lane 1 --file work.sh 'sh work.sh'
    """
    text, files = text_of(words), pack(given["file"])
    spec = replace(spec_of(given), command=text, files=files.name)
    with session.backend() as backend, session.telemetry() as telemetry:
        with telemetry.push(session.address().realm, ADDED) as span:
            job = NewJob(id_of_words(words), replace(spec, traceparent=span.traceparent))
            check_payload(job)
            store(backend, files)
            results = backend.push([job], batch=ADDED, if_exists=IfExists.ADD, token=new_token())
            span.answered(results)
    _report(session, results[0], output)


def _report(session: Session, result: dict[str, Any], output: str) -> None:
    """Raises IllegalTransition if it was refused."""
    if output in ("json", "jsonl"):
        answer_document(result, output)
    if result["status"] == "refused":
        raise IllegalTransition(f"job {result['id']} was not added: {result.get('error', '')}")
    if output == "ids":
        answer(result["id"])
    if result["status"] == "queued":
        say(f"Queued job {result['id']} in {session.address()}")
    else:
        say(f"Job {result['id']} is in {session.address()} already, {result['state']}; it has these tags and lanes too")
