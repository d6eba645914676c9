"""The configuration files: which are read, in which order, whom to trust, and what they say.

Nearest first: `.jobq.toml` in the folder or the nearest one above it, `~/.config/jobq.toml`, `/etc/jobq.toml`. A file
holds settings, which are texts, and for each command a table with defaults of its options.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from jobq.errors import BadInput
from jobq.model.address import is_outside_azure

NEARBY = ".jobq.toml"
SYSTEM = Path("/etc/jobq.toml")

State = Literal["read", "not there", "not trusted"]


@dataclass(frozen=True, slots=True)
class Found:
    """What one layer says."""

    value: str | list[str]
    origin: str
    """For people: `the command line`, a variable's name, or a file's path with the key."""
    unused: str = ""
    """Why it does not count even if nothing nearer says anything; empty if it does."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    path: Path
    state: State = "read"
    is_nearby: bool = False
    """Found in the folder or above it: it may have come with somebody else's work."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name, with `_`."""
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """By command."""
    problems: Sequence[str] = ()
    """What cannot be understood; never quotes a value."""


def find_files(folder: Path | None, home: Path | None, system: Path) -> Iterator[ConfigFile]:
    """Those that are to be read, and those that would be if they were there or trusted."""
    if folder:
        yield from _nearby(folder)
    for path in (home, system):
        if path:
            yield ConfigFile(path, "read" if _is_there(path) else "not there")


def _nearby(folder: Path) -> Iterator[ConfigFile]:
    """Those that are passed over, and the one that is read."""
    for place in (folder, *folder.parents):
        path = place / NEARBY
        if _is_there(path):
            is_trusted = _is_trusted(path)
            yield ConfigFile(path, "read" if is_trusted else "not trusted", is_nearby=True)
            if is_trusted:
                return
    if not _is_there(folder / NEARBY):
        yield ConfigFile(folder / NEARBY, "not there", is_nearby=True)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder above that may not be searched
        return False


def _is_trusted(path: Path) -> bool:
    """Whether it is the caller's own, or root's: in a folder that all may write to, others leave files too."""
    return not hasattr(os, "getuid") or path.stat().st_uid in (0, os.getuid())


def read_file(file: ConfigFile, known: Sequence[str]) -> ConfigFile:
    """With what it says. `known`: the names of settings; what they may not hold becomes a problem."""
    import tomllib

    try:
        data = tomllib.loads(file.path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return replace(file, problems=(f"{file.path}: {error}",))
    settings: dict[str, str] = {}
    problems: list[str] = []
    for key, value in data.items():
        name = key.replace("-", "_")
        if isinstance(value, dict) and name not in known:
            continue
        if name not in known:
            problems.append(f"{file.path}: unknown key {key!r}; {closest(name, known)}")
        elif not isinstance(value, str):
            problems.append(f"{file.path}: {key!r} must be a text")
        elif file.is_nearby and name in ("queue", "tables") and is_outside_azure(value):
            problems.append(
                f"{file.path}: {key!r} names a host outside of Azure's clouds, and a file that may have "
                "come with the folder has no login sent there; say it in a variable or in ~/.config/jobq.toml"
            )
        else:
            settings[name] = value.strip()
    tables = {key: value for key, value in data.items() if isinstance(value, dict) and key not in known}
    return replace(file, settings=settings, tables=tables, problems=problems)


def table_of(file: ConfigFile, path: Sequence[str]) -> Mapping[str, Any]:
    """Of a command, or of a subcommand by two words; empty if there is none. Raises BadInput for what is no table."""
    table: Any = file.tables
    for word in path:
        table = table.get(word, {})
        if not isinstance(table, dict):
            raise BadInput(f"{file.path}: [{'.'.join(path)}] must be a table")
    return table  # type: ignore[no-any-return]  # a dict, as TOML gives it


def closest(word: str, known: Sequence[str]) -> str:
    """The end of a message about a name that is not known: the one that is meant, if it can be guessed."""
    close = get_close_matches(word, known, n=1)
    return f"{close[0]!r} is close" if close else f"known are {', '.join(known)}"
