"""`jobq realm`: what a realm is set to, and its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jobq.cli.ages import age
from jobq.cli.output import answer, answer_document, how_many, is_talking_to_a_person, say
from jobq.cli.params import LANE_LEASE, LEASE_OR_DEFAULT, REALM, option, output_option
from jobq.cli.session import Session
from jobq.cli.tallies import remaining
from jobq.errors import BadInput
from jobq.model.durations import show_duration

if TYPE_CHECKING:
    from jobq.core.documents import Document

F = TypeVar("F", bound=Callable[..., Any])


@click.group("realm")
def command() -> None:
    """Show or set how long leases are in a realm and what of it is paused, or delete a realm.

    A realm needs no setting up: the first job makes it.

    \b
    Example:
      jobq realm set --lease 30m --lane-lease 7=2h
    """


def _about_a_realm(function: F) -> F:
    """`name` besides the options that its subcommands share."""
    function = output_option("table", "json", "jsonl")(function)
    return click.argument("name", required=False, type=REALM)(function)


@command.command("show")
@_about_a_realm
@click.pass_obj
def show(session: Session, name: str | None, output: str) -> None:
    """Show what a realm of the same place is set to; without NAME, this one.

    \b
    Example:
      jobq realm show
    """
    session.realm = name or session.realm
    with session.backend() as backend:
        _answer(backend.settings(), output)


@command.command("set")
@option("--lease", type=LEASE_OR_DEFAULT, help="How long a job is leased where nothing else is said; or `default`.")
@option("--lane-lease", multiple=True, type=LANE_LEASE, help="The same for a lane, as 3=1h or 3=default; repeatable.")
@option("--paused/--no-paused", default=None, help="Whether nothing is to be taken from it, as by `jobq pause`.")
@_about_a_realm
@click.pass_obj
def set_(
    session: Session,
    name: str | None,
    lease: timedelta | None,
    lane_lease: tuple[tuple[str, timedelta], ...],
    paused: bool | None,
    output: str,
) -> None:
    """Change what a realm of the same place is set to; without NAME, this one. What is not given stays as it is.

    \b
    Example:
      jobq realm set --lease 10m --lane-lease 3=1h
    """
    from jobq.core.realm_settings import SettingsChange

    if lease is None and not lane_lease and paused is None:
        raise click.UsageError("say what to set: --lease, --lane-lease or --paused")
    session.realm = name or session.realm
    with session.backend() as backend:
        if lease is not None or lane_lease:
            backend.change_settings(SettingsChange(lease, dict(lane_lease)))
        if paused is not None:
            (backend.pause if paused else backend.resume)()
        _answer(backend.settings(), output)


@command.command("delete")
@option("-y", "--yes", is_flag=True, help="Do not ask.")
@_about_a_realm
@click.pass_obj
def delete(session: Session, name: str | None, yes: bool, output: str) -> None:
    """Delete a realm of the same place with all its jobs, logs and files; without NAME, this one.

    It is closed at once. What is in it goes in the background, whatever is interrupted; then its name is free.

    \b
    Example:
      jobq realm delete exp6 --yes
    """
    session.realm = name or session.realm
    realm = session.address().realm
    with session.backend() as backend:
        if not yes:
            if not is_talking_to_a_person():
                raise BadInput(f"this would delete realm {realm}, and there is nobody to ask: add --yes")
            counts = backend.total()
            what = f"{how_many(counts['total'])}, {remaining(counts):,} of them not ended"
            if not click.confirm(f"delete realm {realm} with {what}?", err=True):
                return
        done = backend.delete_realm()
    if output != "table":
        answer_document(done, output)
    elif done["deleting"]:
        say(f"realm {realm} is closed; what is in it is removed in the background, and soon its name is free")
    else:
        say(f"deleted realm {realm}")


def _answer(settings: Document, output: str) -> None:
    if output != "table":
        answer_document(settings, output)
        return
    paused = settings["paused"]
    facts = [
        ("realm", settings["realm"] + (" (is being deleted)" if settings["deleting"] else "")),
        ("lanes", ", ".join(settings["lanes"])),
        ("lease", _duration(settings["lease"]) if settings["lease"] else "10m (default)"),
        *((f"lease of lane {lane}", _duration(lease)) for lane, lease in settings["lane_leases"].items()),
        ("paused", "everything" if "*" in paused else ", ".join(f"lane {lane}" for lane in paused) or "nothing"),
        ("created", f"{settings['created_at']} ({age(settings['created_at'])})" if settings["created_at"] else ""),
    ]
    width = max(len(name) for name, value in facts if value)
    for name, value in facts:
        if value:
            answer(f"{name.ljust(width)}  {value}")


def _duration(seconds: float) -> str:
    return show_duration(timedelta(seconds=seconds))
