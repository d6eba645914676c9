from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from jobq.cli.commands.logs import Lines
from jobq.core.logs import LogTimes
from jobq.model.durations import utc_now
from tests.cli.by_hand import FAILED, end_jobs, run_until_told
from tests.cli.terminal import Terminal, start_process


@pytest.fixture(autouse=True)
def _two_jobs(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", "--tag", "t", given="echo 1\necho 2\n")


@pytest.mark.parametrize("target", [("b1",), ("b1-000001", "b1-000002"), ("--tag", "t"), ()])
def test_wait_ends_well_when_all_succeeded(target: tuple[str, ...], terminal: Terminal) -> None:
    end_jobs(2)
    answer = terminal("wait", *target)
    assert answer.code == 0
    assert answer.err == "2 of 2 succeeded\n"


@pytest.mark.parametrize("target", [("b1",), ("b1-000001", "b1-000002"), ("--tag", "t"), ()])
def test_wait_ends_with_5_and_names_what_failed(target: tuple[str, ...], terminal: Terminal) -> None:
    end_jobs(1)
    end_jobs(1, FAILED)
    answer = terminal("wait", *target)
    assert answer.code == 5
    assert answer.err == "1 of 2 succeeded, 1 failed\n"
    assert answer.out == "job b1-000002 failed: exit 3 (attempt 1 of 1)\n"


def test_wait_ends_with_5_for_cancelled_ones(terminal: Terminal) -> None:
    terminal("cancel", "--batch", "b1")
    assert terminal("wait", "b1").code == 5


@pytest.mark.parametrize("target", [("b1",), ("b1-000002",), ()])
def test_wait_gives_up_with_7(target: tuple[str, ...], terminal: Terminal) -> None:
    answer = terminal("wait", *target, "--timeout", "0")
    assert answer.code == 7
    assert "have not ended in time" in answer.err


def test_wait_notices_the_end(terminal: Terminal) -> None:
    process = start_process("wait", "b1", "-o", "json")
    end_jobs(2)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert json.loads(out)["succeeded"] == 2


def test_logs_are_printed_as_they_were_written(terminal: Terminal) -> None:
    end_jobs(log=b"one\r\ntwo \x1b[31m\xff\n")
    answer = terminal("logs", "b1-000001")
    assert answer.code == 0
    assert answer.out == "one\r\ntwo \x1b[31m\ufffd\n".replace("\r\n", "\n")


def test_tail_prints_the_last_lines(terminal: Terminal) -> None:
    end_jobs(log=b"one\ntwo\nthree")
    assert terminal("logs", "b1-000001", "--tail", "2").out == "two\nthree"
    assert terminal("logs", "b1-000001", "--tail", "0").out == ""


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (("--grep", "epoch [0-9]+"), "epoch 1\nan epoch 22\nepoch 3"),
        (("--grep", "^epoch"), "epoch 1\nepoch 3"),
        (("--grep", "epoch", "--tail", "2"), "the last epoch\nepoch 3"),
        (("--grep", "ä"), "loss: ä\n"),
        (("--grep", "no such"), ""),
    ],
)
def test_lines_are_found_in_the_log(terminal: Terminal, options: tuple[str, ...], printed: str) -> None:
    end_jobs(log="epoch 1\nloss: ä\nan epoch 22\nthe last epoch\nepoch 3".encode())
    assert terminal("logs", "b1-000001", *options).out == printed


def test_line_that_comes_in_pieces_is_found_once_it_is_whole() -> None:
    lines = Lines(None, re.compile(b"epoch [0-9]+ done"))

    pieces = [lines.chosen(piece) for piece in (b"x\nepo", b"ch 1 do", b"ne\nepoch 2 done", b"")]

    assert pieces == [b"", b"", b"epoch 1 done\n", b""]
    assert lines.chosen(b"", is_end=True) == b"epoch 2 done"


@pytest.fixture
def running() -> str:
    """A job that wrote something an hour ago, and something three minutes ago."""
    now = utc_now()
    times = LogTimes([(now - timedelta(minutes=60), 4), (now - timedelta(minutes=3), 8)])
    return run_until_told(b"one\ntwo\nthree\n", times)


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (("--since", "2h"), "one\ntwo\nthree\n"),
        (("--since", "30m"), "two\nthree\n"),
        (("--since", "2m"), "three\n"),
        (("--since", "2026-01-01T00:00Z"), "one\ntwo\nthree\n"),
        (("--since", "30m", "--tail", "1"), "three\n"),
        (("--since", "30m", "--grep", "o"), "two\n"),
        (("--since", "30m", "--attempt", "1"), "two\nthree\n"),
    ],
)
def test_output_is_printed_since_a_time(
    terminal: Terminal, running: str, options: tuple[str, ...], printed: str
) -> None:
    assert terminal("logs", running, *options).out == printed


def test_nothing_is_printed_of_what_was_over_before_and_an_attempt_that_never_was_is_not_found(
    terminal: Terminal,
) -> None:
    end_jobs(log=b"one\n")
    assert terminal("logs", "b1-000001", "--since", "1h").out == "one\n"
    assert terminal("logs", "b1-000001", "--since", "2999-01-01").out == ""
    assert terminal("logs", "b1-000001", "--since", "1h", "--attempt", "2").code == 3
    assert "has not started yet" in terminal("logs", "b1-000002", "--since", "1h").err


def test_following_may_begin_at_a_time(running: str) -> None:
    process = start_process("logs", running, "-f", "--since", "2m")
    assert process.stdout is not None
    assert process.stdout.readline() == "three\n"
    process.kill()
    process.communicate()


def test_time_that_is_none_is_refused(terminal: Terminal) -> None:
    answer = terminal("logs", "b1-000001", "--since", "yesterday")
    assert answer.code == 2
    assert "'yesterday' is no time: write for example 2026-01-31T09:00Z, or 10m" in answer.err


def test_pattern_that_is_none_is_refused(terminal: Terminal) -> None:
    answer = terminal("logs", "b1-000001", "--grep", "(")
    assert answer.code == 2
    assert "'(' is no regular expression: missing )" in answer.err


def test_logs_of_a_job_that_has_not_started_say_so(terminal: Terminal) -> None:
    answer = terminal("logs", "b1-000002")
    assert answer.code == 0
    assert answer.out == ""
    assert "has not started yet" in answer.err


def test_an_attempt_that_never_was_is_not_found(terminal: Terminal) -> None:
    end_jobs()
    assert terminal("logs", "b1-000001", "--attempt", "2").code == 3


def test_following_ends_with_the_job(terminal: Terminal) -> None:
    process = start_process("logs", "b1-000001", "-f")
    end_jobs(log=b"one\n")
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out == "one\n"
