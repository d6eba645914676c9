"""The tables that put the ancestors' commands, variables, routes and classes beside ours, held against the code."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

import jobq
from jobq import Client, Realms
from jobq.adapters.local import MemoryStack
from jobq.cli.main import cli
from jobq.realm import Realm
from jobq.settings import read_settings
from jobq.worker.run import run_worker
from jobq_service.app import create_app
from jobq_service.realms import Realms as ServedRealms
from tests.docs.ancestors import AI4S_JOBQ, RESTQ

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"from-restq.md": RESTQ, "from-ai4s-jobq.md": AI4S_JOBQ}
NOTHING = "—"

_CELL = re.compile(r"(?<!\\)\|")
_CODE = re.compile(r"`([^`]+)`")
_ROUTE = re.compile(r"(GET|PUT|POST|PATCH|DELETE) (/\S*)")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+|PYTHONUNBUFFERED|JOBQ")
_CALL = re.compile(r"(\w+)(?:\.(\w+))?(?:\(([\w=, ]*)\))?")


@dataclass(frozen=True)
class Line:
    page: str
    table: str
    theirs: str
    ours: str
    differs: str

    @property
    def items(self) -> list[str]:
        return _CODE.findall(self.theirs) or [self.theirs]

    @property
    def named(self) -> list[str]:
        return _CODE.findall(self.ours)

    def missing(self) -> list[str]:
        """What it names and the code does not have; of the remarks, commands and routes."""
        remarks = [name for name in _CODE.findall(self.differs) if name.startswith("jobq ") or _ROUTE.fullmatch(name)]
        return [name for name in self.named + remarks if "://" not in name and not is_there(name)]


def lines() -> Iterator[Line]:
    for page in PAGES:
        table = ""
        for text in (ROOT / "docs" / page).read_text().splitlines():
            if text.startswith("## "):
                table = text.removeprefix("## ")
            elif text.startswith("| ") and not text.endswith("| what differs |"):
                yield Line(page, table, *(cell.strip() for cell in _CELL.split(text)[1:-1]))


LINES = list(lines())


@pytest.mark.parametrize("page", PAGES)
def test_every_item_of_an_ancestor_has_its_line(page: str) -> None:
    found: dict[str, list[str]] = {}
    for line in LINES:
        if line.page == page:
            found.setdefault(line.table, []).extend(line.items)
    assert {table: sorted(items) for table, items in found.items()} == {
        table: sorted(items) for table, items in PAGES[page].items()
    }


@pytest.mark.parametrize("page", PAGES)
def test_what_stands_beside_it_is_there(page: str) -> None:
    assert [f"{line.theirs}: {name}" for line in LINES if line.page == page for name in line.missing()] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_has_no_place_has_a_reason(page: str) -> None:
    found = [line for line in LINES if line.page == page and not line.named]
    assert [line.theirs for line in found if line.ours != NOTHING or not line.differs] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_linked_from_the_readme(page: str) -> None:
    assert f"(docs/{page})" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("jobq push --tags", True),
        ("jobq push --tag-s", False),
        ("jobq pushh", False),
        ("GET /api/status/{realm}", True),
        ("POST /api/status/{realm}", False),
        ("GET /api/status/{queue}", False),
        ("Realm.add(job_id=)", True),
        ("Realm.add(id=)", False),
        ("Realm.addd", False),
        ("run_worker(slots=)", True),
        ("run_worker(slot=)", False),
        ("JOBQ_PUSH_TAGS", True),
        ("JOBQ_PUSH_TAGGS", False),
        ("JOBQ_STATUS_KEY", True),
        ("nothing", False),
    ],
)
def test_what_is_not_there_is_noticed(name: str, is_known: bool) -> None:
    assert is_there(name) == is_known


def is_there(name: str) -> bool:
    if name.startswith("jobq "):
        return is_command(name.split()[1:])
    if route := _ROUTE.fullmatch(name):
        return route[1].lower() in routes().get(route[2], {})
    if _VARIABLE.fullmatch(name):
        return name in variables()
    call = _CALL.fullmatch(name)
    return call is not None and is_callable(call[1], call[2] or "", call[3] or "")


def is_command(words: list[str]) -> bool:
    command: click.Command | None = cli
    ctx = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        command = command.get_command(ctx, words.pop(0))
    if command is None or isinstance(command, click.Group):
        return False
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    return {word for word in words if word.startswith("-")} <= known


@cache
def routes() -> dict[str, Any]:
    app = create_app(ServedRealms(MemoryStack))
    paths: dict[str, Any] = app.openapi()["paths"]
    return paths


class Recorder(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return default


@cache
def variables() -> set[str]:
    """What settings ask for, what options of commands are read from, and what the code has as a text of its own."""
    environ = Recorder()
    read_settings(environ, folder=Path("/"), system=Path("/nowhere"))
    found = environ.asked
    for folder in ("client/jobq", "jobq_service"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= {node.value for node in ast.walk(ast.parse(path.read_text())) if _is_variable(node)}
    for path, command in _commands(cli, click.Context(cli)):
        prefix = "_".join(("jobq", *path))
        found |= {f"{prefix}_{param.name}".upper() for param in command.params if param.name}
    return found


def _is_variable(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_VARIABLE.fullmatch(node.value))


def _commands(group: click.Group, ctx: click.Context, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from _commands(command, ctx, *above, name)
        elif command is not None:
            yield (*above, name), command


def is_callable(owner: str, member: str, arguments: str) -> bool:
    owners: dict[str, Any] = {"Client": Client, "Realms": Realms, "Realm": Realm, "run_worker": run_worker}
    found = owners.get(owner) or getattr(jobq, owner, None)
    if found is None:
        return False
    if member:
        is_set = f"self.{member} = " in inspect.getsource(found.__init__)
        found = inspect.getattr_static(found, member, found.__init__ if is_set else None)
    wanted = {argument.strip(" =") for argument in arguments.split(",")} - {""}
    return found is not None and (not wanted or wanted <= inspect.signature(found).parameters.keys())
