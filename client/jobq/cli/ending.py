"""How a run that did not go well ends: what is said, and the exit code."""

from __future__ import annotations

import traceback

import click

from jobq.cli.session import Session
from jobq.errors import JobqError

INTERRUPTED = 130


def exit_code_of(error: BaseException, session: Session) -> int:
    """Says what happened on standard error, in one paragraph. Raises what only the interpreter may handle."""
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        _say("interrupted", session)
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        _say(_click_message(error), session)
        return error.exit_code
    if isinstance(error, JobqError):
        _say(str(error), session)
        return error.exit_code
    if not isinstance(error, Exception):
        raise error
    _say(f"{type(error).__name__}: {error}. This is a mistake in jobq; `jobq -v …` shows where", session)
    return 1


def _click_message(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    if not isinstance(error, click.UsageError) or context is None:
        return message
    return f"{message}. See `{context.command_path} --help`"


def _say(message: str, session: Session) -> None:
    if session.is_verbose:
        traceback.print_exc()
    text = "interrupted" if message == "interrupted" else f"error: {message}"
    click.echo(" ".join(text.split()), err=True)
