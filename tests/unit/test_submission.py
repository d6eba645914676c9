from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.errors import BadInput
from jobq.model.job import Limits, NewJob, Spec
from jobq.model.submission import is_skipped, parse_line, parse_object

DEFAULTS = Spec(env={"A": "1", "B": "1"}, tags=("all",), lanes=("5",), limits=Limits(retries=2, crashes=9))


def _parse(line: str, defaults: Spec = DEFAULTS) -> NewJob:
    return parse_line(line, batch="b1", position=7, defaults=defaults)


@pytest.mark.parametrize("line", ["", " ", "\t\r\n", "# a comment", "  #x"])
def test_blank_lines_and_comments_are_no_jobs(line: str) -> None:
    assert is_skipped(line)


@pytest.mark.parametrize("line", ["true", "  true #x", "{ ls; }", '{"cmd": "x"}', "''"])
def test_everything_else_is_a_job(line: str) -> None:
    assert not is_skipped(line)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("echo 1\n", "echo 1"),
        ("echo 1\r\n", "echo 1"),
        ("  echo 1  ", "echo 1"),
        ("{ echo 1; }", "{ echo 1; }"),
        ("{ echo '\"'; }", "{ echo '\"'; }"),
        ("{echo,1}", "{echo,1}"),
        ('["a"]', '["a"]'),
        ("echo '# no comment'", "echo '# no comment'"),
    ],
)
def test_text_is_a_command(line: str, command: str) -> None:
    job = _parse(line)
    assert job.id == "b1-000007"
    assert job.spec.command == command
    assert job.spec.kwargs is None
    assert (job.spec.tags, job.spec.lanes, job.spec.limits) == (("all",), ("5",), DEFAULTS.limits)


def test_an_object_with_cmd_is_a_shell_job_whose_own_values_win() -> None:
    line = json.dumps(
        {"cmd": "x", "env": {"B": "2"}, "tags": ["own"], "lane": 1, "num_retries": 0, "timeout": "90s", "id": "me"}
    )
    job = _parse(line)
    assert job.id == "me"
    assert job.spec == Spec(
        command="x",
        env={"A": "1", "B": "2"},
        tags=("all", "own"),
        lanes=("1",),
        limits=Limits(retries=0, crashes=9, timeout=timedelta(seconds=90)),
    )


def test_an_object_without_cmd_is_arguments_whatever_their_names() -> None:
    job = _parse('{"tags": 1, "id": [2], "lane": null}')
    assert job.id == "b1-000007"
    assert job.spec.kwargs == {"tags": 1, "id": [2], "lane": None}
    assert job.spec.command is None
    assert job.spec.tags == ("all",)


@pytest.mark.parametrize("line", ["{}", "  { } "])
def test_an_empty_object_calls_without_arguments(line: str) -> None:
    assert _parse(line).spec.kwargs == {}


@pytest.mark.parametrize("line", ['{"cmd": "x"', '{"cmd": "x"} y', '{ "a" ; }', '{"a": 1e999, "b": Infinity}'])
def test_what_begins_as_json_must_be_json(line: str) -> None:
    with pytest.raises(BadInput, match="not valid JSON"):
        _parse(line)


def test_too_many_tags_together_are_refused() -> None:
    defaults = Spec(tags=tuple(f"d{n}" for n in range(15)))
    line = json.dumps({"cmd": "x", "tags": [f"o{n}" for n in range(6)]})
    with pytest.raises(BadInput, match="21 tags are too many"):
        _parse(line, defaults)


_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50)
_VALUES = st.recursive(st.none() | st.booleans() | st.integers() | _TEXTS, lambda inner: st.lists(inner, max_size=3))


@given(_TEXTS)
def test_a_line_of_text_is_a_command_or_refused_and_never_anything_else(text: str) -> None:
    try:
        job = _parse(text)
    except BadInput:
        return
    assert job.spec.command == text.strip() or job.spec.kwargs is not None or text.strip().startswith("{")


@given(st.dictionaries(_TEXTS.filter(lambda name: name != "cmd"), _VALUES, max_size=4))
def test_arguments_come_out_as_they_were_written(arguments: dict[str, Any]) -> None:
    assert _parse(json.dumps(arguments)).spec.kwargs == arguments
    assert parse_object(arguments, batch="b1", position=7, defaults=DEFAULTS).spec.kwargs == arguments
