"""Failures that are one kind to people have one key."""

import pytest

from jobq.model.fingerprint import LINE_CHARS, error_of
from jobq.model.job import Job, JobState, Reason, Spec


def failed(tail: str = "", message: str = "", exit_code: int | None = 1, reason: Reason = Reason.EXIT) -> Job:
    return Job(
        "j",
        "b",
        Spec(command="x"),
        state=JobState.FAILED,
        reason=reason,
        exit_code=exit_code,
        tail=tail,
        message=message,
    )


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ("step 1\nout of memory: 3.5 GiB\n", "step 22\nout of memory: 12 GiB\n\n", "exit: out of memory: # GiB"),
        ("no file /data/17.csv", "no file /data/9.csv", "exit: no file /data/#.csv"),
        ("at 0x7f3a", "at 0xbeef", "exit: at #"),
        ("blob 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "blob 00000000-4f89-11d3-9a0c-0305e82c3302", "exit: blob #"),
        ("commit deadbeef1", "commit 1deadbeef", "exit: commit #"),
        ("\x1b[31mboom\x1b[0m", "boom", "exit: boom"),
        ("a \t b", "a b\r\n", "exit: a b"),
    ],
)
def test_lines_that_differ_by_what_varies_are_one(one: str, other: str, line: str) -> None:
    first, second = error_of(failed(one)), error_of(failed(other))

    assert first == second
    assert first is not None
    assert first.line == line


def test_reason_and_words_tell_failures_apart() -> None:
    kinds = [
        error_of(failed("boom")),
        error_of(failed("boom", reason=Reason.SIGNAL)),
        error_of(failed("bang")),
        error_of(failed(message="bang!")),
        error_of(failed(exit_code=2)),
        error_of(failed(exit_code=3)),
        error_of(failed(exit_code=None)),
    ]

    assert len({kind.key for kind in kinds if kind}) == 7


def test_words_of_hex_letters_stay() -> None:
    error = error_of(failed("effaced facade, defaced"))

    assert error is not None
    assert error.line == "exit: effaced facade, defaced"


def test_what_has_not_failed_has_none_and_a_long_line_is_cut() -> None:
    assert error_of(Job("j", "b", Spec(command="x"), state=JobState.SUCCEEDED)) is None
    long = error_of(failed("x" * 10_000))
    assert long is not None
    assert len(long.line) == LINE_CHARS
