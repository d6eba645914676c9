from __future__ import annotations

import json
import re

import pytest

from jobq.cli.commands.logs import Lines
from tests.cli.by_hand import FAILED, end_jobs
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
