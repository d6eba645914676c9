"""realm show, set and delete; -r; move."""

from __future__ import annotations

import json

import click
import pytest

from jobq.backend import Backend
from jobq.cli import selecting
from jobq.cli.commands import realm as realm_command
from jobq.cli.main import cli
from jobq.core.listing import Filter
from jobq.model.job import Progress
from tests.cli.by_hand import start_job, tell_progress
from tests.cli.terminal import Terminal, run_process


def test_a_realm_is_set_before_its_first_job_and_shown(terminal: Terminal) -> None:
    answer = terminal("realm", "set", "--lease", "30m", "--lane-lease", "3=1h", "--lane-lease", "fast=90s")
    assert answer.code == 0
    shown = terminal("realm", "show").out
    assert shown == answer.out
    lines = dict(line.split("  ", 1) for line in shown.splitlines())
    assert {name: value.strip() for name, value in lines.items() if name != "created"} == {
        "realm": "demo",
        "lanes": "0",
        "lease": "30m",
        "lease of lane 3": "1h",
        "lease of lane fast": "1m 30s",
        "paused": "nothing",
    }


def test_a_setting_that_is_not_named_stays_and_default_takes_one_away(terminal: Terminal) -> None:
    terminal("realm", "set", "--lease", "30m", "--lane-lease", "3=1h")
    terminal("realm", "set", "--lane-lease", "3=default", "--lane-lease", "4=2h")
    document = json.loads(terminal("realm", "show", "-o", "json").out)
    assert (document["lease"], document["lane_leases"]) == (1800, {"4": 7200})
    terminal("realm", "set", "--lease", "default")
    assert "10m (default)" in terminal("realm", "show").out


def test_a_realm_is_paused_and_resumed(terminal: Terminal) -> None:
    terminal("push", "-c", "true")
    assert "everything" in terminal("realm", "set", "--paused").out
    assert terminal("pull", "--print").out == ""
    assert json.loads(terminal("realm", "set", "--no-paused", "-o", "json").out)["paused"] == []
    assert terminal("pull", "--print").out == "true\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ((), "Missing command. See `jobq realm --help`"),
        (("set",), "say what to set"),
        (("set", "--lease", "8d"), "1s to 7d"),
        (("set", "--lane-lease", "3"), "LANE=DURATION"),
        (("set", "--lane-lease", "X=1h"), "not a lane"),
        (("show", "No"), "not a realm's name"),
        (("delete",), "add --yes"),
    ],
)
def test_wrong_words_for_a_realm(arguments: tuple[str, ...], hint: str, terminal: Terminal) -> None:
    answer = terminal("realm", *arguments)
    assert answer.code == 2
    assert hint in answer.err


def test_a_realm_that_was_never_used_is_not_found(terminal: Terminal) -> None:
    assert terminal("realm", "show", "other").code == 3
    assert terminal("realm", "delete", "other", "--yes").code == 3


def test_another_realm_is_named_beside_the_address(terminal: Terminal) -> None:
    terminal("realm", "set", "other", "--lease", "1h")
    assert "1h" in terminal("realm", "show", "other").out
    assert terminal("realm", "show").code == 3
    assert terminal("-r", "other", "realm", "show").out == terminal("realm", "show", "other").out


def test_deleting_needs_yes_and_closes_the_realm_at_once(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "-c", "true")
    assert terminal("realm", "delete").code == 2
    answer = terminal("realm", "delete", "--yes")
    assert answer.code == 0
    assert "realm demo is closed; what is in it is removed in the background" in answer.err
    assert "being deleted" in terminal("realm", "show").out
    assert terminal("push", "-c", "true").code == 1
    assert backend.total()["total"] == 0


def test_a_person_is_asked_with_the_number_of_jobs(
    terminal: Terminal, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(realm_command, "is_talking_to_a_person", lambda: True)
    terminal("push", given="true\ntrue\n")
    answer = terminal("realm", "delete", given="n\n")
    assert "delete realm demo with 2 jobs, 2 of them not ended? [y/N]" in answer.err
    assert backend.total()["total"] == 2
    assert terminal("realm", "delete", given="y\n").code == 0
    assert backend.total()["total"] == 0


@pytest.mark.parametrize("name", ["show", "set", "delete"])
def test_each_subcommand_says_what_it_does_and_names_its_variables(name: str, terminal: Terminal) -> None:
    help_ = terminal("realm", name, "--help").out
    group = cli.get_command(click.Context(cli), "realm")
    assert isinstance(group, click.Group)
    assert "Example" in help_
    options = [option for option in group.commands[name].params if isinstance(option, click.Option)]
    assert options
    for option in options:
        assert f"envvar:JOBQ_REALM_{name.upper()}_{str(option.name).upper()}" in "".join(help_.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("-r", "other", "push", "-c", "true"),
        ("local:./q/demo", "-r", "other", "push", "-c", "true"),
        ("-r", "other", "local:./q/demo", "push", "-c", "true"),
        ("--realm=other", "local:./q/demo", "push", "-c", "true"),
        ("add", "-r", "other", "true"),
        ("add", "true", "--realm=other"),
        ("-r", "third", "add", "true", "-r", "other"),
    ],
)
def test_a_realm_of_the_same_place_is_given_before_or_after_the_command(
    arguments: tuple[str, ...], terminal: Terminal
) -> None:
    answer = terminal(*arguments)
    assert "local:./q/other" in answer.err
    assert terminal("list", "-o", "ids").out == "other\n"


def test_commands_to_copy_name_the_realm(terminal: Terminal) -> None:
    answer = terminal("-r", "other", "push", "-c", "true", "--batch", "b1")
    assert "jobq -r other status batch b1 -w" in answer.err


@pytest.mark.parametrize(
    ("variables", "arguments", "realm"),
    [
        ({"JOBQ_REALM": "other"}, ("add", "true"), "other"),
        ({"JOBQ_ADD_REALM": "other"}, ("add", "true"), "other"),
        ({"JOBQ_REALM": "other"}, ("-r", "third", "add", "true"), "third"),
        ({"JOBQ_ADD_REALM": "other"}, ("-r", "third", "add", "true"), "third"),
        ({"JOBQ_REALM": "other"}, ("local:./q/demo", "add", "true"), "demo"),
        ({"JOBQ_ADD_REALM": "other"}, ("local:./q/demo", "add", "true"), "demo"),
    ],
)
def test_what_is_said_on_the_command_line_wins_over_a_realm_from_a_variable(
    variables: dict[str, str],
    arguments: tuple[str, ...],
    realm: str,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert f"in local:./q/{realm}\n" in terminal(*arguments).err


@pytest.mark.parametrize("command", ["pull", "remove", "list", "status", "get", "ack", "nack", "extend", "move"])
def test_commands_take_a_realm_after_them(command: str, terminal: Terminal) -> None:
    answer = terminal(command, "-r", "Not A Realm")
    assert answer.code == 2
    assert "not a realm's name" in answer.err


def test_jobs_are_moved_from_lane_to_lane(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--batch", "b1", "--tag", "t", "--lane", "3", given="true\ntrue\ntrue\n")
    terminal("push", "--batch", "b2", "--tag", "t", "--lane", "5", given="true\n")
    assert terminal("move", "b1-000001", "--from", "3", "--to", "1").err == "moved 1 job to lane 1\n"
    assert terminal("move", "--tag", "t", "--from", "3", "--to", "0").err == "moved 2 jobs to lane 0\n"
    lanes = {job["id"]: job["lanes"] for job in backend.jobs(Filter())["jobs"]}
    assert lanes == {"b1-000001": ["1"], "b1-000002": ["0"], "b1-000003": ["0"], "b2-000001": ["5"]}
    assert terminal("move", "--all", "--from", "5", "--to", "0").err == "moved 1 job to lane 0\n"


def test_a_person_is_asked_with_the_number_of_jobs_in_the_lane(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "is_talking_to_a_person", lambda: True)
    terminal("push", "--tag", "t", "--lane", "3", given="true\ntrue\n")
    terminal("push", "--tag", "t", "--lane", "5", given="true\n")
    answer = terminal("move", "--tag", "t", "--from", "3", "--to", "0", given="y\n")
    assert "move 2 jobs? [y/N]" in answer.err
    assert "moved 2 jobs to lane 0" in answer.err


def test_what_runs_or_is_elsewhere_is_not_moved(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", given="true\n")
    answer = terminal("move", "b1-000001", "--from", "7", "--to", "8")
    assert (answer.code, "lane 7" in answer.err) == (1, True)
    tell_progress(start_job(), Progress(0.5))
    answer = terminal("move", "b1-000001", "--from", "0", "--to", "8")
    assert answer.code == 1
    assert "running" in answer.err
    answer = terminal("move", "--state", "running", "--from", "0", "--to", "8")
    assert answer.code == 1
    assert terminal("move", "--tag", "t", "--from", "0", "--to", "8").err == "moved 0 jobs to lane 8\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("x", "--from", "1", "--to", "1"), "are both 1"),
        (("--from", "1", "--to", "2"), "say which jobs"),
        (("x", "--to", "2"), "--from"),
        (("x", "--from", "1", "--to", "X"), "not a lane"),
    ],
)
def test_wrong_words_for_a_move(arguments: tuple[str, ...], hint: str, terminal: Terminal) -> None:
    answer = terminal("move", *arguments)
    assert answer.code == 2
    assert hint in answer.err


def test_queue_is_taken_for_lane_wherever_lanes_are(terminal: Terminal) -> None:
    terminal("push", "-c", "true", "--queue", "4", "--id", "j1")
    assert terminal("jobs", "--queue", "4", "-o", "ids").out == "j1\n"
    assert terminal("pause", "--queue", "4").err == "paused lane 4 of demo\n"
    assert terminal("resume", "--queue=4").code == 0
    assert terminal("pull", "--print", "--max-queue", "3").out == ""
    assert terminal("cancel", "--queue", "4").err == "cancelled 1 job\n"
    assert "--max-queue" in run_process("worker", "--help").out
