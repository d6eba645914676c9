from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.errors import BadInput
from jobq.model.durations import from_iso, parse_duration, parse_moment, show_duration, to_iso

_FIRST, _LAST = datetime(1970, 1, 1), datetime(2999, 1, 1)  # noqa: DTZ001  # bounds for hypothesis have no zone


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("1.5h", 5400),
        ("2h30m", 9000),
        (" 10M ", 600),
        ("1d", 86400),
        ("1w", 604800),
        ("250ms", 0.25),
        ("0", 0),
    ],
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "-1s", "1 h", "1x", "1h-2m", "nan", "1e3", "9" * 400, "\uff11\uff10m"])
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadInput, match="for example 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (0.34, "0.3s"), (9.99, "10.0s"), (41, "41s"), (60, "1m"), (7500, "2h 5m"), (90061, "1d 1h")],
)
def test_durations_are_shown_in_two_units(seconds: float, text: str) -> None:
    assert show_duration(timedelta(seconds=seconds)) == text


@given(st.integers(10, 10**8))
def test_a_shown_duration_is_never_longer_than_the_real_one(seconds: int) -> None:
    shown = parse_duration(show_duration(timedelta(seconds=seconds)).replace(" ", ""))
    assert shown <= timedelta(seconds=seconds)
    assert shown >= timedelta(seconds=seconds) * 0.9


@given(st.datetimes(_FIRST, _LAST), st.integers(-12, 14))
def test_a_moment_comes_back_to_the_millisecond_and_in_utc(naive: datetime, hours: int) -> None:
    moment = naive.replace(microsecond=naive.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(hours=hours)))
    text = to_iso(moment)
    assert text.endswith("Z")
    assert from_iso(text) == moment


@given(*[st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))] * 2)
def test_moments_sort_as_their_texts(first: datetime, second: datetime) -> None:
    if to_iso(first) != to_iso(second):
        assert (first < second) == (to_iso(first) < to_iso(second))


def test_a_time_without_a_zone_is_utc() -> None:
    assert from_iso("2026-11-21T22:05:01") == datetime(2026, 11, 21, 22, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", datetime(2026, 1, 2, 11, 50, tzinfo=UTC)),
        ("0", datetime(2026, 1, 2, 12, tzinfo=UTC)),
        ("2026-01-01T00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        (" 2026-01-01 06:30 ", datetime(2026, 1, 1, 6, 30, tzinfo=UTC)),
        ("2026-01-01T01:00+02:00", datetime(2025, 12, 31, 23, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_point_in_time_is_a_time_or_a_duration_ago(text: str, moment: datetime) -> None:
    assert parse_moment(text, datetime(2026, 1, 2, 12, tzinfo=UTC)) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "9999999d", "0001-01-01T00:00+14:00"])
def test_what_is_no_point_in_time_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no time: write for example 2026-01-31T09:00Z, or 10m"):
        parse_moment(text, datetime(2026, 1, 2, tzinfo=UTC))
