"""What `pull --print` prints, run by shells: whatever a command is, it runs as it is, and is answered for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobq.backend import Backend
from jobq.cli.checkouts import in_a_shell, plain
from jobq.core.listing import Filter
from tests.cli.terminal import Answer, Terminal, environment, run_process

SHELLS = ("sh", "bash")

LOOP = 'while work=$(jobq pull --print --ack --count 2) && [ -n "$work" ]; do eval "$work"; done'


@pytest.fixture(autouse=True)
def _jobq_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "jobq"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom jobq.cli.main import main\nmain()\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


def run_shell(shell: str, script: str) -> Answer:
    done = subprocess.run(
        [*shell.split(), "-c", script], capture_output=True, text=True, env=environment(), timeout=100, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def _states(backend: Backend) -> dict[str, tuple[str, int | None]]:
    return {job["id"]: (job["state"], job["exit_code"]) for job in backend.jobs(Filter())["jobs"]}


@pytest.mark.parametrize("shell", SHELLS)
def test_an_environment_is_the_jobs_own_and_the_same_in_every_shell(shell: str) -> None:
    job = {"command": 'echo "$A|$B" # it\'s\ncd /; A=2', "env": {"A": "it's $X `x` \"\\\n2", "B": " ", "c.d": "1"}}
    answer = run_shell(shell, plain(job) + '\necho "after:$A:$PWD"')
    assert answer == Answer(0, f"it's $X `x` \"\\\n2| \nafter::{Path.cwd()}\n", "")


def test_a_command_alone_is_one_line_in_a_shell_of_its_own() -> None:
    assert in_a_shell("echo a # b", {"A": "x"}) == "env A=x bash -c 'echo a # b'"


HARD = {
    "comment": ("echo hi # not more", 0),
    "heredoc": ("cat <<EOF\nhi $((1 + 1))\nEOF", 0),
    "heredoc-open": ("cat <<EOF\nhi", 0),
    "quotes": ('echo "it\'s"; false', 1),
    "errexit": ("set -e; false; true", 1),
    "exit": ("exit 7", 7),
    "backslash": ("true \\", 0),
    "open": ("if true; then", 2),
    "closing": (") && echo no", 2),
    "bashism": ("[[ a == a ]]", 0),
    "killed": ("kill -9 $$", 137),
    "-o 'an id'": ("true", 0),
}


@pytest.mark.parametrize("shell", [*SHELLS, "bash -e"])
def test_a_loop_runs_whatever_there_is_and_each_is_answered_for(shell: str, backend: Backend) -> None:
    lines = [json.dumps({"id": name, "cmd": command, "env": {"X": "'"}}) for name, (command, _) in HARD.items()]
    run_process("push", given="\n".join(lines))

    answer = run_shell(shell, LOOP)

    assert answer.code == 0, answer.err
    expected = {name: ("failed" if code else "succeeded", code) for name, (_, code) in HARD.items()}
    assert {name: (state, code or 0) for name, (state, code) in _states(backend).items()} == expected


def test_a_loop_acknowledges_in_the_realm_that_a_job_is_of() -> None:
    run_process("-r", "other", "add", "echo from other", "--lane", "1")
    run_process("add", "echo from demo")
    script = LOOP.replace("pull", "local:./q/demo pull --all-realms")
    assert run_shell("sh", script.replace("--count 2", "--count 3")).out == "from demo\nfrom other\n"
    for realm in ("demo", "other"):
        assert json.loads(run_process("-r", realm, "status", "-o", "json").out)["succeeded"] == 1


def test_files_are_written_before_the_command_is_printed(terminal: Terminal, backend: Backend) -> None:
    Path("work.sh").write_text("echo I am work.sh\n")
    Path("work.sh").chmod(0o755)
    terminal("add", "--file=work.sh", "./work.sh")
    Path("work.sh").unlink()

    answer = run_shell("sh", 'eval "$(jobq pull --print --ack)"')

    assert answer.out == "I am work.sh\n"
    assert [state for state, _ in _states(backend).values()] == ["succeeded"]
