from __future__ import annotations

import pytest

from jobq.backend import Backend
from tests.cli.terminal import Terminal

BAD_LINES = [
    ('{"cmd" "x"}', "not valid JSON (column 8: Expecting ':' delimiter)"),
    ('{"cmd": "x", "timeuot": 3}', "unknown key 'timeuot'"),
    ('{"cmd": "x", "lane": "High"}', "'High' is not a lane"),
    ('{"cmd": "x", "lanes": [99999]}', "'99999' is not a lane"),
    ('{"cmd": "x", "tags": ["a\\u0007"]}', "it has a control character"),
    ('{"cmd": "x", "tags": ["' + "é" * 101 + '"]}', "202 bytes of UTF-8"),
    ('{"cmd": "x", "tags": "a"}', "must be a list"),
    ('{"cmd": ""}', "not empty"),
    ('{"cmd": "x", "kwargs": {}}', "either 'cmd'"),
    ('{"cmd": "x", "num_retries": -1}', "'num_retries' must be a whole number"),
    ('{"cmd": "x", "timeout": "soon"}', "not a duration"),
    ('{"cmd": "x", "timeout": NaN}', "NaN is not JSON"),
    ('{"cmd": "x", "env": {"A=B": "1"}}', "'A=B' is not the name"),
    ('{"cmd": "x", "id": ""}', "is not a job's id"),
    ('{"cmd": "x", "id": "one"}', "the id 'one' is that of line 1 too"),
    ("echo \x00", "NUL"),
    ("true " + "x" * 4_000_000, "4,000,000 are the most"),
]
_IDS = [hint for _, hint in BAD_LINES]


@pytest.mark.parametrize(("line", "hint"), BAD_LINES, ids=_IDS)
def test_a_bad_line_is_named_and_what_is_before_it_is_pushed(
    line: str, hint: str, terminal: Terminal, backend: Backend
) -> None:
    given = f'{{"cmd": "echo 1", "id": "one"}}\n# a comment\necho 3\n{line}\necho 5\n'
    answer = terminal("push", "--batch", "b1", given=given)
    assert answer.code == 8
    assert "error: standard input, line 4: " in answer.err
    assert hint in answer.err
    assert "2 jobs of batch b1 are in the queue, nothing from this line on" in answer.err
    assert "jobq push --batch b1" in answer.err
    assert backend.batch_status("b1")["total"] == 2


@pytest.mark.parametrize(("line", "hint"), BAD_LINES[:1])
def test_a_bad_first_line_pushes_nothing_and_is_wrong_usage(line: str, hint: str, terminal: Terminal) -> None:
    answer = terminal("push", given=f"{line}\necho 2\n")
    assert answer.code == 2
    assert hint in answer.err
    assert "Nothing was pushed" in answer.err
    assert terminal("status", "-o", "json").out.count('"total": 0') == 1


def test_a_corrected_input_pushed_again_under_the_batch_completes_it(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--batch", "b1", given='echo 1\n{"cmd" x}\necho 3\n')
    answer = terminal("push", "--batch", "b1", given='echo 1\n{"cmd": "echo 2"}\necho 3\n')
    assert answer.code == 0
    assert "Pushed 2 jobs to local:./q/demo as batch b1 (1 already there)" in answer.err
    assert backend.batch_status("b1")["total"] == 3


def test_a_line_that_is_not_utf_8_is_named(terminal: Terminal) -> None:
    answer = terminal("push", given=b"echo 1\necho \xff\n")
    assert answer.code == 8
    assert "line 2: not UTF-8 at byte 6: 'echo \\\\xff'" in answer.err


def test_an_id_that_would_be_made_from_a_line_before_is_refused(terminal: Terminal) -> None:
    answer = terminal("push", "--batch", "b1", given='echo 1\n{"cmd": "echo 2", "id": "b1-000001"}\n')
    assert "line 2: the id 'b1-000001' is that of line 1 too" in answer.err


def test_an_id_that_would_be_made_from_a_line_after_is_refused_there(terminal: Terminal) -> None:
    answer = terminal("push", "--batch", "b1", given='{"cmd": "echo 1", "id": "b1-000002"}\necho 2\n')
    assert "line 2: the id 'b1-000002' is that of line 1 too" in answer.err


def test_an_endless_line_is_refused_before_it_fills_the_memory(terminal: Terminal) -> None:
    answer = terminal("push", given=b"\x01" * 17_000_000)
    assert answer.code == 2
    assert "line 1 is over 16,000,000 bytes" in answer.err


def test_a_bad_command_option_is_named_and_nothing_is_pushed(terminal: Terminal) -> None:
    answer = terminal("push", "-c", "true", "-c", " ")
    assert answer.code == 2
    assert "command 2 of 2: the command is empty" in answer.err
    assert '"total": 0' in terminal("status", "-o", "json").out


def test_half_a_surrogate_pair_is_refused(terminal: Terminal) -> None:
    answer = terminal("push", given='{"cmd": "echo \\ud800"}\n')
    assert answer.code == 2
    assert "surrogate" in answer.err


def test_a_long_bad_line_is_shown_cut(terminal: Terminal) -> None:
    answer = terminal("push", given='{"cmd" ' + "x" * 1000)
    assert len(answer.err) < 300


def test_an_unknown_job_is_not_found(terminal: Terminal) -> None:
    for command in ("show", "logs", "wait", "cancel", "retry", "remove"):
        answer = terminal(command, "nope")
        assert answer.code == 3, command
        assert "nope" in answer.err


def test_an_unknown_tag_or_batch_is_not_found(terminal: Terminal) -> None:
    for arguments in (("status", "tag", "x"), ("status", "batch", "x"), ("status", "x"), ("wait", "--tag", "x")):
        assert terminal(*arguments).code == 3


def test_an_unreachable_backend_is_never_taken_for_an_empty_one(terminal: Terminal) -> None:
    answer = terminal("http://127.0.0.1:1/api/demo", "status")
    assert answer.code == 9
    assert "http://127.0.0.1:1/api does not answer (Connection refused)" in answer.err
