"""Defaults of the commands' options, from the tables of configuration files and from the variables of ancestors.

A value in a file means what the same text means in the option's own variable: `yes`, `10m`, `a, b`. Numbers, booleans
and lists of TOML are taken as well. The nearest that says something about an option wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from jobq.errors import BadInput
from jobq.settings import inherited_options
from jobq.settings_files import ConfigFile, Found, closest, table_of

_READING = ("config", "doctor", "get", "jobs", "list", "logs", "show", "status", "wait", "workers")

_JOBS = (
    *("tag", "tags", "lane", "num_retries", "backoff", "retry_on", "no_retry_on", "timeout", "crash_limit"),
    "max_preemptions",
)

_WORK = ("max_lane", "visibility_timeout", "grace", "emulate_tty", "quiet")

HARMLESS: Mapping[str, Sequence[str]] = {
    "push": (*_JOBS, "chunk", "wait", "dry_run"),
    "add": _JOBS,
    "pull": (*_WORK, "count"),
    "worker": (
        *_WORK,
        *("slots", "time_limit", "max_consecutive_failures", "exit_when_empty", "idle_timeout", "forever"),
        *("label", "on_preempt"),
    ),
    "serve": ("port",),
}
"""What a file may set that came with a folder. Not what runs code, sends files or variables, or spares a question."""

EXCLUSIVE = (frozenset({"exit_when_empty", "idle_timeout", "forever"}), frozenset({"realms", "all_realms"}))
"""Options that exclude each other: the nearest layer that says one of them displaces what farther ones say."""


@dataclass(frozen=True, slots=True)
class Layers:
    """What each layer says of a command's options, by parameter and nearest first; and what cannot be understood."""

    found: dict[str, list[Found]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def defaults_of(
    ctx: click.Context, path: Sequence[str], command: click.Command, args: Sequence[str], files: Sequence[ConfigFile]
) -> dict[str, Any]:
    """For click's `default_map`: of the command that `path` leads to, and of those subcommands that `args` name.

    Raises BadInput that says what cannot be understood, and where.
    """
    layers = layers_of(command, path, files)
    for problem in layers.problems:
        raise BadInput(problem)
    defaults: dict[str, Any] = {
        name: one.value for name, says in layers.found.items() for one in reversed(says) if not one.unused
    }
    for name, subcommand in subcommands(ctx, command):
        if name in args:
            defaults[name] = defaults_of(ctx, (*path, name), subcommand, args, files)
    return defaults


def subcommands(ctx: click.Context, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            if subcommand := command.get_command(ctx, name):
                yield name, subcommand


def layers_of(command: click.Command, path: Sequence[str], files: Sequence[ConfigFile]) -> Layers:
    """Without those of its subcommands."""
    layers = Layers()
    options = {option.name: option for option in command.params if isinstance(option, click.Option) and option.name}
    for name, one in inherited_options(" ".join(path)).items():
        if name in options:
            _add(layers, options[name], one)
    for file in files:
        try:
            table = table_of(file, path)
        except BadInput as error:
            layers.problems.append(str(error))
            continue
        nearer = frozenset(layers.found)
        for name, key, value in _entries(file, table, command, path, layers):
            is_displaced = any(name in group and nearer & group - {name} for group in EXCLUSIVE)
            origin = f"{file.path}: [{'.'.join(path)}] {key}"
            _add(
                layers,
                options[name],
                Found(value, origin, "an option that excludes it is said nearer" if is_displaced else ""),
            )
    return layers


def problems_of(file: ConfigFile, commands: Sequence[str]) -> list[str]:
    """What is wrong with a file, whichever command runs. `commands`: all their names."""
    unknown = [name for name in file.tables if name not in commands]
    tables = [f"{file.path}: there is no command for [{name}]; {closest(name, commands)}" for name in unknown]
    return [*file.problems, *tables]


def checked(option: click.Option, value: Any) -> str | list[str]:
    """A value of TOML as click takes it: as texts, several for an option that may be repeated. Raises BadInput."""
    if isinstance(value, bool) and not option.is_flag:
        raise BadInput("is no flag, so that true and false mean nothing here")
    texts: str | list[str]
    if isinstance(value, list):
        texts = [_text(part) for part in value]
        if not option.multiple and "," not in option.type.name:
            raise BadInput("takes one value, not a list")
        texts = texts if option.multiple else ",".join(texts)
    else:
        texts = [*option.type.split_envvar_value(_text(value))] if option.multiple else _text(value)
    try:
        option.type_cast_value(click.Context(click.Command(None)), texts)
    except click.BadParameter as error:
        raise BadInput(error.message.rstrip(".")) from error
    return texts


def _entries(
    file: ConfigFile, table: Mapping[str, Any], command: click.Command, path: Sequence[str], layers: Layers
) -> Iterator[tuple[str, str, Any]]:
    """Parameter, key and value of what may be said; the rest becomes a problem."""
    words = dict(_words(command))
    where = f"{file.path}: [{'.'.join(path)}]"
    seen: dict[str, str] = {}
    for key, value in table.items():
        name = words.get(key.replace("_", "-"))
        if isinstance(command, click.Group) and key in command.commands:
            continue
        if name is None:
            layers.problems.append(f"{where} unknown key {key!r}; {closest(key.replace('_', '-'), [*words])}")
        elif name in seen:
            layers.problems.append(f"{where} {seen[name]} and {key} are the same option")
        elif file.is_nearby and not _is_harmless(path[0], name):
            layers.problems.append(
                f"{where} {key} is not taken from a file that may have come with the folder; "
                "say it on the command line or in ~/.config/jobq.toml"
            )
        else:
            seen[name] = key
            yield name, key, value


def _words(command: click.Command) -> Iterator[tuple[str, str]]:
    """Each option's names as on the command line, without the dashes, and its parameter's name."""
    for option in command.params:
        if isinstance(option, click.Option) and option.name:
            yield from ((word.lstrip("-"), option.name) for word in sorted(option.opts, key=len, reverse=True))


def _is_harmless(command: str, name: str) -> bool:
    """What only reads may be set in any way, but not where to write to."""
    return (command in _READING and name != "write") or name in ("output", "verbose", *HARMLESS.get(command, ()))


def _add(layers: Layers, option: click.Option, one: Found) -> None:
    assert option.name
    try:
        value = checked(option, one.value)
    except BadInput as error:
        layers.problems.append(f"{one.origin}: {error}")
    else:
        layers.found.setdefault(option.name, []).append(replace(one, value=value))


def _text(value: Any) -> str:
    """As one would write it in a variable."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value).strip()
    raise BadInput("takes a text, a number, true or false, or a list of them")
