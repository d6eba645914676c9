"""Every command block of README and docs, run as a reader would: in order, in one shell, in an empty folder.

In a `console` block `$ ` begins a command and `> ` continues it; what follows is its output, where `…` stands for
anything, and `[exit N]` for its exit code when that is not 0. Blocks of one file share a shell. `python` blocks are
scripts. Storage accounts are Azurite, Service Bus namespaces the loopback broker.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.shell import Shell
from tests.service_bus import broker_process

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Command:
    text: str
    output: list[str] = field(default_factory=list)
    exit_code: int = 0


def commands_of(block: str) -> Iterator[Command]:
    command: Command | None = None
    for line in block.splitlines():
        if line.startswith("$ "):
            if command:
                yield command
            command = Command(line[2:])
        elif command is None:
            raise AssertionError(f"a console block begins with a command, not with {line!r}")
        elif line.startswith("> ") and not command.output:
            command.text += "\n" + line[2:]
        elif code := re.fullmatch(r"\[exit (\d+)\]", line):
            command.exit_code = int(code[1])
        else:
            command.output.append(line)
    if command:
        yield command


def is_for_make(command: Command) -> bool:
    """`make demo` and `make test` are what runs this."""
    return command.text.startswith(("make ", "git clone"))


def pattern_of(output: list[str]) -> re.Pattern[str]:
    """Between columns there may be more spaces: one of ages is wider on a slow machine."""
    parts = (re.sub(r"(?:\\ ){2,}", r"\\ {2,}", re.escape(part)) for part in "\n".join(output).split("…"))
    return re.compile(".*".join(parts) + r"\s*", re.DOTALL)


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    """The connection string of a Service Bus broker."""
    with broker_process() as (_, connection_string):
        yield connection_string


@pytest.mark.slow
@pytest.mark.timeout(300)  # a page has as many commands as it has
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_block_does_what_the_page_says(page: Path, tmp_path: Path, azurite: str, bus: str) -> None:
    # given
    blocks = _BLOCK.findall(page.read_text())
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    keep = {name: value for name, value in os.environ.items() if not name.startswith("JOBQ")}
    stores = {"JOBQ_CONNECTION_STRING": azurite, "JOBQ_SERVICEBUS_CONNECTION_STRING": bus}
    env = {**keep, **stores, "PATH": path, "HOME": str(tmp_path), "COLUMNS": "200"}
    shell = Shell(tmp_path, env)
    try:
        for kind, block in blocks:
            commands = list(commands_of(block)) if kind == "console" else [script_of(block, tmp_path)]
            for command in commands:
                if is_for_make(command):
                    continue
                # when
                output, code = shell.run(command.text)
                # then
                assert code == command.exit_code, f"$ {command.text}\n{output}"
                if kind == "console":
                    assert pattern_of(command.output).fullmatch(output), f"$ {command.text}\n{output}"
    finally:
        shell.close()


def script_of(block: str, folder: Path) -> Command:
    (folder / "script.py").write_text(block)
    return Command("python script.py")


def test_readme_names_the_two_commands_first_and_they_exist() -> None:
    # given
    first = next(_BLOCK.finditer((ROOT / "README.md").read_text()))[2]

    # when
    targets = [command.text.split()[1] for command in commands_of(first)]

    # then
    assert targets == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
