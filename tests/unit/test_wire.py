from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.errors import BadInput
from jobq.model.job import Limits, Spec
from jobq.model.wire import dumps, loads_object, spec_from_json, spec_to_json

_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
_NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
_SPECS = st.builds(
    Spec,
    command=_TEXTS.filter(str.strip),
    env=st.dictionaries(_NAMES.filter(lambda name: "=" not in name), _TEXTS, max_size=3),
    tags=st.lists(_NAMES, max_size=20, unique=True).map(tuple),
    lanes=st.lists(st.integers(0, 9999).map(str), min_size=1, max_size=10, unique=True).map(tuple),
    limits=st.builds(
        Limits,
        retries=st.integers(0, 10_000),
        crashes=st.integers(0, 10_000),
        preemptions=st.integers(0, 10_000),
        timeout=st.none() | st.integers(1, 10**6).map(lambda ms: timedelta(milliseconds=ms)),
    ),
)


@given(_SPECS)
def test_a_spec_comes_back_as_it_was(spec: Spec) -> None:
    assert spec_from_json(loads_object(dumps(spec_to_json(spec)))) == spec


def test_only_what_differs_from_the_default_is_written() -> None:
    assert spec_to_json(Spec(command="true")) == {"cmd": "true"}
    assert spec_to_json(Spec(kwargs={})) == {"kwargs": {}}


@given(
    st.dictionaries(
        st.sampled_from(["cmd", "kwargs", "env", "tags", "lanes", "lane", "timeout", "num_retries", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
        ),
    )
)
def test_whatever_comes_is_a_spec_or_bad_input(data: dict[str, Any]) -> None:
    try:
        spec = spec_from_json(data)
    except BadInput:
        return
    assert (spec.command is None) != (spec.kwargs is None)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({}, "either 'cmd'"),
        ({"cmd": "x", "kwargs": {}}, "either 'cmd'"),
        ({"cmd": 7}, "'cmd' must be a text"),
        ({"cmd": " "}, "not empty"),
        ({"cmd": "a\0b"}, "NUL"),
        ({"kwargs": []}, "'kwargs' must be an object"),
        ({"cmd": "x", "more": 1}, "unknown key 'more'; known are backoff, bg_dirsync_to, cmd"),
        ({"cmd": "x", "env": []}, "'env' must be an object"),
        ({"cmd": "x", "env": {"": "1"}}, "not the name"),
        ({"cmd": "x", "env": {"A": True}}, "must be a text"),
        ({"cmd": "x", "env": {"A": "\0"}}, "must be a text"),
        ({"cmd": "x", "tags": [True]}, "list of texts"),
        ({"cmd": "x", "tags": [str(n) for n in range(21)]}, "21 tags"),
        ({"cmd": "x", "lane": 0, "lanes": [1]}, "both given"),
        ({"cmd": "x", "lanes": list(range(11))}, "11 lanes"),
        ({"cmd": "x", "num_retries": True}, "whole number"),
        ({"cmd": "x", "crash_limit": 10_001}, "0 to 10000"),
        ({"cmd": "x", "timeout": 0}, "'timeout'"),
        ({"cmd": "x", "timeout": "0s"}, "over zero"),
        ({"cmd": "x", "timeout": "900w"}, "366 days"),
        ({"cmd": "x", "timeout": []}, "'timeout'"),
        ({"cmd": "x", "backoff": 30}, "'backoff' must be a text"),
        ({"cmd": "x", "backoff": "1h..1s"}, "no backoff"),
        ({"cmd": "x", "retry_on": "oom"}, "'retry_on' must be a list"),
        ({"cmd": "x", "no_retry_on": ["exit:999"]}, "no way to fail"),
        ({"cmd": "x", "retry_on": [f"exit:{n}" for n in range(21)]}, "21 retry_on are too many"),
    ],
)
def test_a_wrong_value_is_named(data: dict[str, Any], hint: str) -> None:
    with pytest.raises(BadInput, match=hint):
        spec_from_json(data)


@pytest.mark.parametrize("text", ["", "[1]", "7", "{", "{} {}", '{"a": NaN}', b"\xff", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadInput):
        loads_object(text)
