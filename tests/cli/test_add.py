"""add, and the words of restq's that call a job by its text: status arg, remove arg, get."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jobq.backend import Backend
from jobq.core.listing import Filter
from jobq.model.names import id_of_text
from tests.cli.by_hand import FAILED, end_jobs, start_job
from tests.cli.terminal import Terminal, run_process

PWD = id_of_text("pwd")


def _jobs(backend: Backend) -> list[dict[str, object]]:
    jobs: list[dict[str, object]] = backend.jobs(Filter())["jobs"]
    return jobs


def test_the_same_text_again_is_the_same_job_with_the_tags_and_lanes_of_both() -> None:
    first = run_process("add", "--tags=work", "pwd", "-o", "ids")
    second = run_process("add", "--tag", "fun", "--queue=1", "pwd")

    assert (first.code, first.out) == (0, f"{PWD}\n")
    assert f"Queued job {PWD} in local:./q/demo" in first.err
    assert (second.code, second.out) == (0, "")
    assert f"Job {PWD} is in local:./q/demo already, queued" in second.err
    job = json.loads(run_process("show", PWD, "-o", "json").out)
    assert (job["command"], set(job["tags"]), set(job["lanes"])) == ("pwd", {"work", "fun"}, {"0", "1"})
    assert job["batch"] == "add"


def test_words_are_joined_by_a_space_and_options_of_the_command_come_after_two_dashes(
    terminal: Terminal, backend: Backend
) -> None:
    terminal("add", "--", "ls", "-lah", "a  b")
    terminal("add", " ls -lah a  b ")
    assert [job["command"] for job in _jobs(backend)] == ["ls -lah a  b"]
    assert terminal("add", "ls", "-lah").code == 2
    assert terminal("add", " ").code == 2


def test_an_answer_as_json_says_what_became_of_the_job(terminal: Terminal) -> None:
    assert json.loads(terminal("add", "pwd", "-o", "json").out) == {"id": PWD, "status": "queued", "state": "queued"}
    assert json.loads(terminal("add", "pwd", "-o", "jsonl").out)["status"] == "exists"


@pytest.mark.parametrize("other", [("-e", "A=2"), ("--file", "work.sh"), ("--bg-dirsync-to", "/mnt/x")])
def test_other_data_under_the_same_text_is_a_conflict(
    other: tuple[str, ...], terminal: Terminal, backend: Backend
) -> None:
    Path("work.sh").write_text("echo")
    terminal("add", "pwd", "-e", "A=1")

    answer = terminal("add", *other, "pwd", "--tag", "new")

    assert answer.code == 1
    assert answer.out == ""
    assert "conflict" in answer.err
    assert answer.err.count("error:") == 1
    assert [job["tags"] for job in _jobs(backend)] == [[]]


def test_a_job_that_has_ended_is_queued_again(terminal: Terminal, backend: Backend) -> None:
    terminal("add", "pwd", "--tag", "a")
    end_jobs(1, FAILED)
    assert "Queued job" in terminal("add", "pwd", "--tag", "b").err
    (job,) = _jobs(backend)
    assert job["state"] == "queued"
    assert job["tags"] == ["a", "b"]


def test_a_new_lane_is_refused_while_it_runs(terminal: Terminal) -> None:
    terminal("add", "pwd")
    start_job()
    answer = terminal("add", "--lane", "3", "pwd")
    assert answer.code == 1
    assert "running" in answer.err


def test_files_are_shipped_as_by_push_and_a_worker_finds_them() -> None:
    Path("work.sh").write_text("echo from the file\n")
    assert "Stored 1 file" in run_process("add", "--file", "work.sh", "sh work.sh").err
    assert "from the file" in run_process("worker").out


@pytest.fixture
def added(terminal: Terminal) -> None:
    terminal("add", "--tags=work", "ls -lah")
    terminal("add", "--tags=work,fun", "pwd")
    terminal("add", "--queue=1", "pwd")


@pytest.mark.usefixtures("added")
def test_status_says_what_remains(terminal: Terminal) -> None:
    assert terminal("status").out.startswith("Contains 2 tags with 2 jobs\n")
    assert terminal("status", "tag", "work").out.startswith("2 of 2 jobs remaining\n")
    terminal("remove", "arg", "pwd")
    assert terminal("status").out.startswith("Contains 1 tag with 1 job\n")
    end_jobs()
    assert terminal("status").out.startswith("Contains 0 tags with 0 jobs\n")
    assert terminal("status", "tag", "work").out.startswith("0 of 1 job remaining\n")


@pytest.mark.usefixtures("added")
def test_status_arg_shows_tags_lanes_and_how_long_it_is_out(terminal: Terminal) -> None:
    assert terminal("status", "arg", "pwd").out == (
        "Status of argument pwd: queued\nTagged with: work, fun\nlane | (s) since checkout\n   0 | -\n   1 | -\n"
    )
    terminal("pull", "--print", "--count", "2")
    out = terminal("status", "arg", "pwd").out
    assert re.fullmatch(r"(?s)Status of argument pwd: running\n.*\n   0 \| \d+\.\d\d\n   1 \| \d+\.\d\d\n", out), out
    assert json.loads(terminal("status", "arg", "ls", "-o", "json", "--", "-lah").out)["command"] == "ls -lah"
    assert terminal("status", "arg", "nope").code == 3


@pytest.mark.usefixtures("added")
def test_get_prints_what_remains_under_a_tag(terminal: Terminal) -> None:
    terminal("push", "--tag", "work", given='{"x": [1, "ü"]}\n')
    assert sorted(terminal("get", "work").out.splitlines()) == ["ls -lah", "pwd", '{"x": [1, "ü"]}']
    end_jobs()
    assert len(terminal("get", "work").out.splitlines()) == 2
    assert len(terminal("get", "work", "--all").out.splitlines()) == 3
    assert terminal("get", "fun", "--all", "-o", "ids").out == f"{PWD}\n"
    assert len(json.loads(terminal("get", "work", "--all", "-o", "json").out)["jobs"]) == 3
    assert terminal("get", "nope").code == 3


def test_get_fetches_what_a_list_leaves_out(terminal: Terminal) -> None:
    text = "echo " + "x" * 40_000
    terminal("push", "--tag", "large", given=text)
    assert terminal("get", "large").out == text + "\n"


@pytest.mark.usefixtures("added")
def test_remove_by_text_and_by_tag(terminal: Terminal, backend: Backend) -> None:
    assert terminal("remove", "tag", "work").code == 2  # it asks
    assert terminal("remove", "arg", "ls -lah").err == "removed 1 job\n"
    assert [job["command"] for job in _jobs(backend)] == ["pwd"]
    assert terminal("remove", "tag", "work", "--yes").err == "removed 1 job\n"
    assert _jobs(backend) == []
    assert terminal("remove", "arg", "ls -lah").code == 3


def test_ids_called_arg_and_tag_are_removed_alone(terminal: Terminal, backend: Backend) -> None:
    for name in ("arg", "tag", "x"):
        terminal("push", "-c", "true", "--id", name)
    assert terminal("remove", "arg").code == 0
    assert terminal("remove", "x", "tag").code == 0
    assert _jobs(backend) == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("tag", "a", "b"), "one tag"), (("tag", "a", "--tag", "b"), "one tag"), (("arg", " "), "empty")],
)
def test_words_of_remove_that_say_too_much_or_nothing(words: tuple[str, ...], hint: str, terminal: Terminal) -> None:
    answer = terminal("remove", *words)
    assert answer.code == 2
    assert hint in answer.err
