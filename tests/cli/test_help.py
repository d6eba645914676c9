from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from jobq.cli.main import SECTIONS, cli
from tests.cli.terminal import Terminal, environment, run_process

COMMANDS = [name for section in SECTIONS.values() for name in section]
HEAVY = ("azure", "requests", "rich", "aiohttp", "asyncio", "sqlite3")

_SPY = """
import sys
{code}
print(sorted({{name.split(".")[0] for name in sys.modules}} & set({heavy!r})), file=sys.stderr)
"""


def _loaded_by(code: str, *arguments: str) -> str:
    script = _SPY.format(code=code, heavy=HEAVY)
    run = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(run, capture_output=True, text=True, env=environment(), check=True)
    return done.stderr.strip().splitlines()[-1]


def test_help_loads_nothing_that_takes_its_time() -> None:
    code = "from jobq.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    assert _loaded_by(code, "--help") == "[]"


def test_importing_jobq_loads_nothing_else() -> None:
    assert _loaded_by("import jobq") == "[]"


def test_what_is_imported_from_jobq_by_name_is_there() -> None:
    code = "from jobq import Batch, Client, JobqError, run_worker, __version__"
    assert "azure" not in _loaded_by(code)


def test_asking_over_http_loads_no_azure_and_no_database() -> None:
    code = "from jobq.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    loaded = _loaded_by(code, "http://127.0.0.1:1/api/demo", "status")
    assert "azure" not in loaded
    assert "sqlite3" not in loaded
    assert "requests" in loaded


def test_showing_the_configuration_asks_nobody() -> None:
    Path(".jobq.toml").write_text('[push]\ntags = "a"\n')
    code = "from jobq.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    loaded = _loaded_by(code, "http://127.0.0.1:1/api/demo", "config", "show", "--origin")
    assert not {name for name in ("azure", "requests", "aiohttp", "sqlite3") if name in loaded}


def test_version_is_the_same_wherever_it_is_asked_for(terminal: Terminal) -> None:
    answers = {terminal("version"), terminal("--version")}
    assert len(answers) == 1
    assert answers.pop().out.startswith("jobq 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_says_what_it_does_and_ends_with_an_example(name: str, terminal: Terminal) -> None:
    answer = terminal(name, "--help")
    assert answer.code == 0
    assert "Example" in answer.out
    assert "  jobq " in answer.out or "| jobq" in answer.out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_names_its_environment_variable(name: str, terminal: Terminal) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    text = "".join(terminal(name, "--help").out.split())
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.name
            assert f"envvar:JOBQ_{name.upper()}_{parameter.name.upper()}" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_listed_and_named_as_its_file(name: str, terminal: Terminal) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert f"  {name} " in terminal("--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, terminal: Terminal) -> None:
    answer = terminal("completion", shell)
    assert answer.code == 0
    assert "_JOBQ_COMPLETE" in answer.out


def test_no_command_at_all_is_wrong_usage_and_shows_the_help(terminal: Terminal) -> None:
    answer = terminal()
    assert answer.code == 2
    assert answer.out == ""
    assert "Put work in" in answer.err


def test_an_answer_goes_to_standard_output_and_talk_to_standard_error() -> None:
    answer = run_process("push", "-c", "echo hi", "--id", "j1", "--output", "ids")
    assert answer.code == 0
    assert answer.out == "j1\n"
    assert "Pushed 1 job to local:./q/demo" in answer.err
