"""pull --print, and ack, nack, extend: jobs that a shell runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobq.backend import Backend
from jobq.cli.checkouts import in_a_shell, plain
from jobq.core.listing import Filter
from tests.cli.terminal import RUN, Answer, Terminal, environment, run_process

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


def pull(terminal: Terminal, *options: str) -> dict[str, Any]:
    """The one job that is checked out."""
    answer = terminal("pull", "--print", "-o", "json", *options)
    assert answer.code == 0, answer.err
    (job,) = json.loads(answer.out)["jobs"]
    assert isinstance(job, dict)
    return job


def _states(backend: Backend) -> dict[str, tuple[str, int | None]]:
    return {job["id"]: (job["state"], job["exit_code"]) for job in backend.jobs(Filter())["jobs"]}


def test_a_command_is_printed_as_it_is_and_leased(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--id", "j1", "-c", "echo 'a  b' | wc -c # count")
    assert terminal("pull", "--print").out == "echo 'a  b' | wc -c # count\n"
    assert backend.job("j1")["state"] == "running"
    assert terminal("workers", "-o", "ids").out == ""


def test_nothing_there_prints_nothing_and_is_no_error(terminal: Terminal) -> None:
    assert terminal("pull", "--print") == Answer(0, "", "")
    assert json.loads(terminal("pull", "--print", "-o", "json").out) == {"jobs": []}


def test_jobs_come_from_the_lowest_lane_over_realms_up_to_the_last_one_allowed(terminal: Terminal) -> None:
    for realm, lane in (("demo", "10"), ("demo", "fast"), ("other", "2"), ("third", "0")):
        terminal("-r", realm, "add", "--lane", lane, f"echo {realm} {lane}")

    def lines(*options: str) -> list[str]:
        return terminal("pull", "--print", *options).out.splitlines()

    assert lines("--realms", "other", "--count", "5", "--max-lane", "10") == ["echo other 2", "echo demo 10"]
    assert lines("--all-realms", "--count=5") == ["echo third 0", "echo demo fast"]


def test_json_has_all_that_its_caller_needs(terminal: Terminal) -> None:
    terminal("push", "--id", "j1", "-c", "echo $A", "-e", "A=1", "--tag", "t", "--lane", "3")
    job = pull(terminal, "--lease", "1h")
    assert {name: job[name] for name in ("realm", "id", "lane", "command", "data", "env", "tags", "attempt")} == {
        "realm": "demo",
        "id": "j1",
        "lane": "3",
        "command": "echo $A",
        "data": "echo $A",
        "env": {"A": "1"},
        "tags": ["t"],
        "attempt": 1,
    }
    assert job["token"]
    assert job["lease"] == 3600
    assert job["expires_at"]


def test_a_lease_is_what_is_said_else_that_of_the_lane_else_of_the_realm(terminal: Terminal) -> None:
    terminal("realm", "set", "--lease", "20m", "--lane-lease", "3=30m")
    terminal("push", "--lane", "3", given="true\ntrue\n")
    terminal("push", "--lane", "4", given="true\n")
    leases = [pull(terminal)["lease"], pull(terminal, "--visibility-timeout", "40m")["lease"], pull(terminal)["lease"]]
    assert leases == [1800, 2400, 1200]


def test_ack_ends_the_job_with_its_result(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--id", "j/1 ü", "-c", "true")
    job = pull(terminal)
    answer = terminal("ack", job["id"], "--token", job["token"], "--result", '{"loss": [0.25]}', "--message", "done")
    assert answer == Answer(0, "", "job j/1 ü is succeeded\n")
    ended = backend.job("j/1 ü")
    assert (ended["state"], ended["result"], ended["message"]) == ("succeeded", {"loss": [0.25]}, "done")


def test_nack_gives_it_back_and_failed_leaves_it_to_its_retries(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--id", "j1", "-c", "true")
    job = pull(terminal)
    assert terminal("nack", "j1", "--token", job["token"]).err == "job j1 is queued\n"
    job = pull(terminal)
    answer = terminal("nack", "j1", "--token", job["token"], "--failed", "--exit-code", "3", "--message", "no data")
    assert answer == Answer(0, "", "job j1 is failed\n")
    ended = backend.job("j1")
    assert (ended["reason"], ended["exit_code"], ended["message"]) == ("exit", 3, "no data")


def test_a_delay_keeps_it_from_others(terminal: Terminal) -> None:
    terminal("push", "--id", "j1", "-c", "true")
    terminal("nack", "j1", "--token", pull(terminal)["token"], "--delay", "1h", "-o", "json")
    assert terminal("pull", "--print").out == ""


def test_extend_says_until_when_and_whether_to_stop(terminal: Terminal) -> None:
    terminal("push", "--id", "j1", "-c", "true")
    token = pull(terminal)["token"]
    assert re.fullmatch(
        r"job j1 is yours until 20\S+Z\n", terminal("extend", "j1", "--token", token, "--lease", "2h").err
    )
    terminal("cancel", "j1")
    assert "to be cancelled" in terminal("extend", "j1", "--token", token).err
    assert json.loads(terminal("extend", "j1", "--token", token, "--lease", "2h", "-o", "json").out)["lease"] == 7200


@pytest.mark.parametrize("verb", ["ack", "nack", "extend"])
def test_who_has_lost_the_lease_is_told_so_and_changes_nothing(verb: str, terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--id", "j1", "-c", "true")
    token = pull(terminal)["token"]
    terminal("nack", "j1", "--token", token)
    other = pull(terminal)["token"]

    answer = terminal(verb, "j1", "--token", token)

    assert answer.code == 1
    assert "nothing was changed" in answer.err
    assert backend.job("j1")["state"] == "running"
    assert terminal("ack", "j1", "--token", other).code == 0


def test_a_job_that_was_removed_is_acknowledged_by_that(terminal: Terminal) -> None:
    terminal("add", "pwd")
    job = pull(terminal)
    assert terminal("remove", "arg", "pwd").err == "removed 1 job\n"
    answer = terminal("ack", job["id"], "--token", job["token"])
    assert (answer.code, "nothing was changed" in answer.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("ack", "j1"), "--token"),
        (("ack", "j1", "--token", "t", "--result", "{"), "no JSON that can be stored"),
        (("ack", "j1", "--token", "t", "--result", "NaN"), "no JSON that can be stored"),
        (("nack", "j1", "--token", "t", "--exit-code", "3"), "goes with --failed"),
        (("extend", "j1", "--token", "t", "--lease", "0"), "1s to 7d"),
        (("pull", "--count", "2"), "--count goes with --print"),
        (("pull", "--ack"), "--ack goes with --print"),
        (("pull", "-o", "json"), "--output goes with --print"),
        (("pull", "--print", "--proc", "m:f"), "--proc does not go with --print"),
        (("pull", "--print", "--ack", "-o", "json"), "--ack goes with commands for a shell"),
        (("pull", "--print", "--count", "101"), "101"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...], hint: str, terminal: Terminal) -> None:
    answer = terminal(*arguments)
    assert answer.code == 2
    assert hint in answer.err


def test_a_count_from_a_variable_is_for_print_only(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_PULL_COUNT", "2")
    terminal("push", given="true\ntrue\ntrue\n")
    assert run_process("pull").code == 0
    assert terminal("pull", "--print").out == "true\ntrue\n"


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


def test_a_job_whose_files_cannot_be_written_is_given_back_and_not_printed(
    terminal: Terminal, backend: Backend, tmp_path: Path
) -> None:
    Path("data").mkdir()
    Path("data/x").write_text("1")
    terminal("push", "--id", "j1", "--file", "data", "-c", "cat data/x")
    Path("data").rename("elsewhere")
    Path("data").symlink_to(tmp_path, target_is_directory=True)

    answer = terminal("pull", "--print")

    assert (answer.code, answer.out) == (1, "")
    assert "job j1 was given back: its file 'data/x' would lie below a symbolic link" in answer.err
    assert "error: no job was printed" in answer.err
    assert not (tmp_path / "x").exists()
    assert backend.job("j1")["state"] == "queued"
    assert backend.job("j1")["tries"] == {"preempted": 1}


def test_the_others_are_printed_when_the_files_of_one_cannot_be_written(terminal: Terminal, backend: Backend) -> None:
    for number in ("1", "2"):
        Path("work.sh").write_text(f"echo {number}")
        terminal("push", "--id", f"j{number}", "--file", "work.sh", "-c", f"sh work.sh {number}")

    answer = terminal("pull", "--print", "--count", "2")

    assert (answer.code, answer.out) == (0, "sh work.sh 1\n")
    assert Path("work.sh").read_text() == "echo 1"
    assert "job j2 was given back: its file 'work.sh' is not that of a job that was pulled with it" in answer.err
    assert _states(backend) == {"j1": ("running", None), "j2": ("queued", None)}


def test_a_call_of_a_function_is_left_to_a_worker(terminal: Terminal, backend: Backend) -> None:
    terminal("push", given='{"x": 1}\necho 1\n')
    answer = terminal("pull", "--print", "--count", "2")
    assert (answer.code, answer.out) == (0, "echo 1\n")
    assert "was given back: it calls a Python function" in answer.err
    assert sorted(state for state, _ in _states(backend).values()) == ["queued", "running"]


def test_data_is_given_as_json_whatever_it_is(terminal: Terminal) -> None:
    terminal("push", given='{"x": 1}\n')
    job = pull(terminal)
    assert (job["command"], job["kwargs"], job["data"]) == (None, {"x": 1}, {"x": 1})


@pytest.mark.parametrize("form", ["table", "json", "jsonl"])
def test_what_nobody_could_read_is_given_back(form: str, terminal: Terminal, backend: Backend) -> None:
    terminal("push", given="true\ntrue\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*RUN, "pull", "--print", "--count", "2", "-o", form],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr.count("was given back: it was not printed") == 2
    assert "Traceback" not in done.stderr
    assert [state for state, _ in _states(backend).values()] == ["queued", "queued"]
