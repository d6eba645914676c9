"""`jobq config`: what is set, and where; and a file of settings from what a deployment says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import click
from click.core import ParameterSource

from jobq.cli import params
from jobq.cli.defaults import checked, layers_of, problems_of, subcommands
from jobq.cli.output import answer, answer_json, answer_lines, answer_table, say
from jobq.cli.params import option, output_option
from jobq.cli.session import Session
from jobq.errors import BadInput
from jobq.model.deployment import parse_deployment
from jobq.settings import SECRETS, find_settings, find_variables, read_files
from jobq.settings_files import ConfigFile, Found

_HIDDEN = "***"


@click.group("config", no_args_is_help=False)
def command() -> None:
    """Show what is set, and where; or make a file of settings from a deployment. Nothing is written unasked.

    \b
    Examples:
      jobq config show --origin
      jobq config path
      jobq config from-deployment outputs.json
    """


@command.command("path")
@output_option("table", "json", "jsonl")
def path(output: str) -> None:
    """List the files that are read, nearest first, and those that would be if they were there or trusted.

    A `.jobq.toml` that belongs to somebody else is not trusted.

    \b
    Example:
      jobq config path
    """
    files = [{"path": str(file.path), "state": file.state} for file in read_files()]
    if output == "table":
        answer_table(("FILE", "STATE"), [(file["path"], file["state"]) for file in files])
    else:
        _answer("files", files, output)


@command.command("show")
@option("--origin", is_flag=True, help="Also say where each comes from, and what that hides.")
@output_option("table", "json", "jsonl")
@click.pass_context
def show(ctx: click.Context, origin: bool, output: str) -> None:
    """Show all settings and all defaults of options that are set, but no keys.

    \b
    Example:
      jobq config show --origin
    """
    problems: list[str] = []
    entries = [entry for entry in _entries(ctx.find_root(), problems) if entry.says or (origin and entry.hides)]
    if output == "table":
        _table(entries, origin)
    else:
        _answer("settings", [_document(entry, origin) for entry in entries], output)
    if len(problems) > 1:
        for problem in problems:
            say(problem)
        raise BadInput(f"{len(problems)} mistakes in what is configured; each is said above")
    for problem in problems:
        raise BadInput(problem)


@command.command("from-deployment", short_help="Print a .jobq.toml for what a deployment has made.")
@click.argument("file", type=click.File("rb"))
@option("--http", is_flag=True, help="Go through the HTTP control plane, with a key and without roles.")
@option(
    "--write", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file, which is not there yet."
)
@click.pass_obj
def from_deployment(session: Session, file: IO[bytes], http: bool, write: Path | None) -> None:
    """Print a .jobq.toml for what a deployment has made. FILE has its outputs as `az` prints them; - is standard input.

    \b
    Example:
      az deployment group show -g lab -n main --query properties.outputs -o json | jobq config from-deployment -
    """
    deployment = parse_deployment(file.read())
    text = deployment.settings(realm=session.realm, over_http=http)
    if write is None:
        answer(text.rstrip())
        return
    try:
        with write.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise BadInput(f"{write} is there already; remove it, or have it printed and take what you want") from error
    except OSError as error:
        raise BadInput(f"{write} could not be written: {error.strerror}") from error
    say(f"wrote {write}; try it with `jobq doctor`")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    says: Found | None
    """What holds."""
    hides: Sequence[Found]
    """What farther layers say."""


def _entries(root: click.Context, problems: list[str]) -> Iterator[_Entry]:
    """Settings, then options, as `push.num-retries`; `problems` receives what cannot be understood."""
    files = read_files()
    assert isinstance(root.command, click.Group)
    for file in files:
        problems += problems_of(file, root.command.list_commands(root))
    for name, says in (find_settings(files, queue=root.obj.queue) | find_variables()).items():
        yield _entry(name, [replace(one, value=_without_secret(one.value, name in SECRETS)) for one in says])
    for its in root.command.params:
        if isinstance(its, click.Option) and its.name:
            is_given = its.name == "realm" and root.get_parameter_source("realm") is ParameterSource.COMMANDLINE
            given = [Found(root.obj.realm, "the command line")] if is_given else []
            yield _entry(its.name, [*given, *_of_variable(root, its, problems)])
    for word, subcommand in subcommands(root, root.command):
        yield from _options(root, subcommand, (word,), files, problems)


def _options(
    parent: click.Context, command: click.Command, path: Sequence[str], files: Sequence[ConfigFile], problems: list[str]
) -> Iterator[_Entry]:
    ctx = click.Context(command, parent, info_name=path[-1])
    layers = layers_of(command, path, files)
    problems += layers.problems
    for its in command.params:
        if isinstance(its, click.Option) and its.name:
            says = [*_of_variable(ctx, its, problems), *layers.found.get(its.name, [])]
            name = ".".join((*path, its.name.replace("_", "-")))
            yield _entry(name, [replace(one, value=_shown(its, one.value)) for one in says])
    for word, subcommand in subcommands(ctx, command):
        yield from _options(ctx, subcommand, (*path, word), files, problems)


def _of_variable(ctx: click.Context, option: click.Option, problems: list[str]) -> Iterator[Found]:
    """What the option's own variable says, if it is set."""
    text = option.resolve_envvar_value(ctx)
    if not text:
        return
    variable = f"{ctx.auto_envvar_prefix}_{str(option.name).upper()}"
    try:
        yield Found(checked(option, text), variable)
    except BadInput as error:
        problems.append(f"{variable}: {error}")


def _entry(name: str, says: Sequence[Found]) -> _Entry:
    holds = next((one for one in says if not one.unused), None)
    return _Entry(name, holds, [one for one in says if one is not holds])


def _shown(option: click.Option, value: str | list[str]) -> str | list[str]:
    """Of a job's variables only the names."""
    if option.type is params.VARIABLE:
        return [f"{text.partition('=')[0]}={_HIDDEN}" for text in ([value] if isinstance(value, str) else value)]
    return _without_secret(value, False)


def _without_secret(value: str | list[str], is_secret: bool) -> str | list[str]:
    """A URL may hold a login or a signature."""
    if isinstance(value, list):
        return [str(_without_secret(text, is_secret)) for text in value]
    return _HIDDEN if is_secret or re.search(r"://\S*[@?]", value) else value


def _document(entry: _Entry, origin: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"name": entry.name, "value": entry.says and entry.says.value}
    if origin:
        document["origin"] = entry.says and entry.says.origin
        document["hides"] = [{"value": one.value, "origin": one.origin} for one in entry.hides]
    return document


def _answer(key: str, documents: Sequence[dict[str, Any]], output: str) -> None:
    if output == "json":
        answer_json({key: documents})
    else:
        answer_lines(documents)


def _table(entries: Sequence[_Entry], origin: bool) -> None:
    if not entries:
        say("nothing is set")
        return
    columns = ("NAME", "VALUE", "ORIGIN", "HIDES")[: 4 if origin else 2]
    answer_table(columns, [_row(entry)[: len(columns)] for entry in entries])
    for one in (one for entry in entries for one in entry.hides if one.unused):
        say(f"{one.origin} is not used: {one.unused}")


def _row(entry: _Entry) -> Sequence[str | None]:
    hides = "; ".join(one.origin for one in entry.hides)
    if not entry.says:
        return entry.name, None, None, hides
    value = entry.says.value
    return entry.name, value if isinstance(value, str) else ", ".join(value), entry.says.origin, hides
