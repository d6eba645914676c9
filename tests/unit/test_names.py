from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.errors import BadInput
from jobq.model.names import (
    SHARDS,
    batch_name,
    escape,
    id_in_batch,
    job_id,
    key_part,
    lane_name,
    lane_order,
    new_batch,
    new_token,
    queue_name,
    realm_name,
    shard_of,
    tag_name,
    unescape,
)

_TEXTS = st.text(st.characters(codec="utf-8"), max_size=100)


@pytest.mark.parametrize("text", ["abc", "exp7", "a-b-c", "0" * 40])
def test_realms(text: str) -> None:
    assert realm_name(text) == text


def test_name_whose_place_is_taken_over_http_is_no_realms() -> None:
    with pytest.raises(BadInput, match="'metrics' cannot be a realm's name: /api/status/metrics is something else"):
        realm_name("metrics")
    assert realm_name("metrics-2") == "metrics-2"


@pytest.mark.parametrize(
    "text", ["", "ab", "0" * 41, "Exp7", "a--b", "-ab", "ab-", "a_b", "a.b", "é23", "a-lane-b", "ab\n"]
)
def test_no_realms(text: str) -> None:
    with pytest.raises(BadInput, match="not a realm's name"):
        realm_name(text)


@pytest.mark.parametrize("lane", [0, 9999, "7", "a", "high", "z" + "9" * 11])
def test_lanes(lane: str | int) -> None:
    assert lane_name(lane) == str(lane)


@pytest.mark.parametrize("lane", ["", "01", "10000", "-1", "1a", "High", "a" * 13, "a-b", "1.0", "٣", "a\n"])
def test_no_lanes(lane: str) -> None:
    with pytest.raises(BadInput, match="not a lane"):
        lane_name(lane)


def test_lanes_sort_as_numbers_and_names_after_them() -> None:
    assert sorted(["bulk", "10", "a", "9", "0"], key=lane_order) == ["0", "9", "10", "a", "bulk"]


def test_the_first_lane_has_the_realms_own_queue() -> None:
    assert queue_name("exp7", "0") == "exp7"
    assert queue_name("exp7", "high") == "exp7-lane-high"


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{1,38})[a-z0-9]", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9]{0,11}", fullmatch=True),
)
def test_every_queue_name_is_one_that_azure_takes(realm: str, lane: str) -> None:
    try:
        name = queue_name(realm_name(realm), lane_name(lane))
    except BadInput:
        return
    assert re.fullmatch(r"(?=.{3,63}$)[a-z0-9]+(-[a-z0-9]+)*", name)


@pytest.mark.parametrize("text", ["", " a", "a ", "a\tb", "a\nb", "\x7f", "\u2028", "\ud800", "x" * 201, "é" * 101])
def test_no_tags_and_no_ids(text: str) -> None:
    with pytest.raises(BadInput):
        tag_name(text)
    with pytest.raises(BadInput):
        job_id(text)


@pytest.mark.parametrize("text", ["a", "a b/c#?\\%", "é" * 100, "日本", "x" * 200, "~", "!"])
def test_tags_and_ids(text: str) -> None:
    assert tag_name(text) == job_id(text) == text


@pytest.mark.parametrize("text", ["", "-a", ".a", "a b", "x" * 64, "é", "a/b"])
def test_no_batches(text: str) -> None:
    with pytest.raises(BadInput, match="not a batch's name"):
        batch_name(text)


@given(_TEXTS)
def test_what_is_escaped_is_plain_and_comes_back(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.!-]*", escape(text))
    assert unescape(escape(text)) == text


@given(_TEXTS, _TEXTS)
def test_different_texts_are_escaped_differently(first: str, second: str) -> None:
    assert (escape(first) == escape(second)) == (first == second)


@pytest.mark.parametrize("text", ["!ff", "!c3"])
def test_what_escape_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not an escaped name"):
        unescape(text)


@given(st.text(st.characters(codec="utf-8"), min_size=60, max_size=200))
def test_a_part_of_a_key_is_never_too_long(text: str) -> None:
    assert len(key_part(text)) <= 200


def test_long_names_that_differ_at_their_end_have_different_keys() -> None:
    assert key_part("é" * 99 + "a") != key_part("é" * 99 + "b")


def test_ids_of_a_batch_spread_over_all_shards() -> None:
    shards = Counter(shard_of(id_in_batch("06by3kq1v0hm", n)) for n in range(1, 8001))
    assert len(shards) == SHARDS
    assert min(shards.values()) > 800


def test_fresh_names_differ_and_are_allowed() -> None:
    batches = {batch_name(new_batch()) for _ in range(100)}
    tokens = {new_token() for _ in range(1000)}
    assert len(batches) > 95
    assert len(tokens) == 1000
    assert {len(name) for name in batches | tokens} == {12}
