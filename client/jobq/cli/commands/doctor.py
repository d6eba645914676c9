"""`jobq doctor`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from jobq.cli.output import answer_document, answer_table, how_many, say
from jobq.cli.params import output_option
from jobq.cli.session import Session
from jobq.errors import JobqError, NotAllowed, Unreachable

if TYPE_CHECKING:
    from jobq.doctor.check import Check

_ERRORS = {NotAllowed.exit_code: NotAllowed, Unreachable.exit_code: Unreachable}


@click.command("doctor")
@output_option("table", "json", "jsonl")
@click.pass_obj
def command(session: Session, output: str) -> None:
    """Try out all that the queue needs, and say what is missing: network, clock, login, roles or keys, versions.

    What a push and a worker do is done once, with a row, a blob and a message that are removed and that nobody else
    sees. Of a role that is missing, the command that assigns it is printed. Ends with 4 if something is not allowed,
    9 if something is not reachable, 1 if anything else failed.

    \b
    Example:
      jobq mystorage/exp7 doctor
    """
    from jobq.doctor.check import exit_code_of
    from jobq.doctor.examine import examine

    address = session.address()
    checks = examine(address, session.settings())
    if output == "table":
        answer_table(("CHECK", "STATE", "MS", "FOUND"), [_row(check) for check in checks])
        for check in checks:
            if check.state != "ok":
                say(f"{check.name}: {check.detail}")
    else:
        answer_document({"queue": str(address), "checks": [_document(check) for check in checks]}, output)
    failed = [check.name for check in checks if check.state == "failed"]
    if failed:
        error = _ERRORS.get(exit_code_of(checks), JobqError)
        raise error(f"{how_many(len(failed), 'check')} of {len(checks)} failed: {', '.join(failed)}")


def _row(check: Check) -> tuple[str, str, int, str]:
    """Of what went wrong, how it begins; the whole is said below."""
    found = check.detail if check.state == "ok" else re.split("[:;] ", check.detail)[0]
    return check.name, check.state, round(check.seconds * 1000), found


def _document(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "state": check.state,
        "seconds": round(check.seconds, 3),
        "detail": check.detail,
        "fix": check.fix or None,
    }
