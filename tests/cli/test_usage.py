from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal, run_process, start_process


@pytest.fixture
def no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ")


@pytest.mark.usefixtures("no_queue")
def test_without_a_queue_the_four_forms_are_named(terminal: Terminal) -> None:
    answer = terminal("status")
    assert answer.code == 2
    for form in ("mystorage/exp7", "sb://mybus/exp7", "https://myapp.azurewebsites.net/api/exp7", "local:./q/exp7"):
        assert form in answer.err


@pytest.mark.usefixtures("no_queue")
def test_the_queue_may_come_first(terminal: Terminal) -> None:
    assert terminal("local:./elsewhere/other", "push", "-c", "true").code == 0
    assert terminal("local:./elsewhere/other", "list", "-o", "ids").out == "other\n"


def test_the_queue_that_comes_first_wins_over_the_environment(terminal: Terminal) -> None:
    assert "to local:./elsewhere/other" in terminal("local:./elsewhere/other", "push", "-c", "true").err


def test_commands_to_copy_name_the_queue_that_came_first(terminal: Terminal) -> None:
    answer = terminal("local:./elsewhere/other", "push", "-c", "true", "--batch", "b1")
    assert "jobq local:./elsewhere/other status batch b1 -w" in answer.err


@pytest.mark.parametrize(
    ("queue", "hint"),
    [
        ("local:./q/ab", "not a realm's name"),
        ("local:./q/Exp7", "not a realm's name"),
        ("local:./q/a-lane-b", "not a realm's name"),
        ("ftp://x/demo", "neither a storage account nor a namespace"),
        ("https://host/demo", "no '/api' before the realm"),
        ("https://key:secret@host/api/demo", "without key"),
    ],
)
def test_a_queue_that_breaks_its_rule_is_refused(queue: str, hint: str, terminal: Terminal) -> None:
    answer = terminal(queue, "status")
    assert answer.code == 2
    assert hint in answer.err
    assert "secret" not in answer.err


def test_a_mistyped_command_is_wrong_usage_and_a_close_one_is_named(terminal: Terminal) -> None:
    answer = terminal("psuh")
    assert answer.code == 2
    assert "'push' is close" in answer.err


def test_an_error_is_one_paragraph_on_standard_error_without_a_traceback() -> None:
    answer = run_process("show", "nope")
    assert answer.code == 3
    assert answer.out == ""
    assert answer.err.startswith("error: there is no job nope in local:")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("-v", "show", "nope"), ("show", "nope", "-v")])
def test_v_shows_where_an_error_came_from(arguments: tuple[str, ...]) -> None:
    answer = run_process(*arguments)
    assert answer.code == 3
    assert "Traceback" in answer.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("push", "-c", "true", "--tag", "a\x01b"), "control character"),
        (("push", "-c", "true", "--tag", "x" * 201), "201 bytes"),
        (("push", "-c", "true", "--tags", "ok, " + "é" * 101), "202 bytes"),
        (("push", "-c", "true", "--lane", "10000"), "not a lane"),
        (("push", "-c", "true", "--lane", "High"), "not a lane"),
        (("push", "-c", "true", "--batch", "a b"), "not a batch's name"),
        (("push", "-c", "true", "--id", " x"), "not a job's id"),
        (("push", "-c", "true", "-e", "SEED"), "NAME=VALUE"),
        (("push", "-c", "true", "--timeout", "soon"), "not a duration"),
        (("push", "-c", "true", "--timeout", "0"), "over zero"),
        (("push", "-c", "true", "--chunk", "0"), "0"),
        (("push", "-c", "true", "--num-retries", "-1"), "-1"),
        (("push", "-c", "true", "--retry-on", "oom"), "--num-retries N says how often"),
        (("push", "-c", "true", "--num-retries", "1", "--retry-on", "exit:1000"), "'exit:1000' is no way to fail"),
        (("push", "-c", "true", "--backoff", "1h..1s"), "'1h..1s' is no backoff"),
        (("push", "-c", "true", *(f"--tag={n}" for n in range(21))), "21 tags"),
        (("push", "-c", "true", "-c", "false", "--id", "x"), "exactly one command"),
        (("push", "--id", "x"), "exactly one command"),
        (("push", "--id", "x", "--from", "nowhere.txt"), "exactly one command"),
        (("push", "tasks.txt"), "after -c or --"),
        (("push", "--"), "no command after '--'"),
        (("push", "--from", "nowhere.txt"), "nowhere.txt: No such file"),
        (("push", "-c", "true", "--from", "tasks.txt"), "not from both"),
        (("push", "-c", "\n"), "command is empty"),
        (("push", "-c", "true", "--if-exists", "maybe"), "maybe"),
        (("jobs", "--state", "done"), "done"),
        (("status", "tag"), "status tag T"),
        (("wait", "x", "--tag", "y"), "one of them"),
        (("cancel",), "say which jobs"),
        (("cancel", "x", "--all"), "both are given"),
        (("retry", "x", "--failed"), "--failed goes with"),
        (("worker", "--forever", "--idle-timeout", "1m"), "exclude each other"),
        (("worker", "--visibility-timeout", "8d"), "1s to 7d"),
        (("https://host/api/demo", "serve"), "served already"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], hint: str, terminal: Terminal
) -> None:
    answer = terminal(*arguments)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert hint in answer.err
    assert answer.out == ""


def test_an_unexpected_error_is_admitted_as_ours(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.direct.RealmApi.status", lambda api: 1 / 0)
    answer = terminal("status")
    assert answer.code == 1
    assert "ZeroDivisionError" in answer.err
    assert "a mistake in jobq" in answer.err


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(terminal: Terminal) -> None:
    terminal("push", "--batch", "b" * 60, given="true\n" * 2000)
    process = start_process("jobs", "--all", "-o", "ids")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.stdout = None
    _, said = process.communicate(timeout=30)
    assert said == ""
    assert process.returncode == 1


def test_an_option_is_read_from_its_environment_variable(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_PUSH_TAGS", "a,b")
    monkeypatch.setenv("JOBQ_PUSH_COMMAND", "echo several words")
    monkeypatch.setenv("JOBQ_PUSH_OUTPUT", "jsonl")
    monkeypatch.setenv("JOBQ_PUSH_DRY_RUN", "yes")
    answer = terminal("push")
    assert '"cmd":"echo several words"' in answer.out
    assert '"tags":["a","b"]' in answer.out
