"""Looks: rates and what remains, from documents that come one after the other."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobq.cli.looks import Looks, Pace, per_minute, span

START = datetime(2026, 1, 1, tzinfo=UTC)


def counts(ended: int, total: int = 1000) -> dict[str, Any]:
    return {
        "total": total,
        "queued": total - ended,
        "running": 0,
        "succeeded": ended,
        "failed": 0,
        "cancelled": 0,
    }


def realm(ended: int, **batches: int) -> dict[str, Any]:
    return {"realm": "demo", **counts(ended), "batches": {name: counts(done, 100) for name, done in batches.items()}}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_two_looks_make_a_rate_for_the_whole_and_for_each_part() -> None:
    looks = Looks()
    first = looks.take(realm(0, a=10, b=0), after(0))
    second = looks.take(realm(100, a=20, b=0), after(60))

    assert set(first.paces.values()) == {Pace()}
    assert second.paces["realm", "demo"] == Pace(100, (timedelta(minutes=9), timedelta(minutes=9)))
    assert second.paces["batch", "a"] == Pace(10, (timedelta(minutes=8), timedelta(minutes=8)))
    assert second.paces["batch", "b"] == Pace(0, None)


def test_eta_becomes_a_range_when_the_work_slows_down() -> None:
    looks = Looks()
    for minute, ended in enumerate((0, 100, 200, 300, 400, 410, 420, 430)):
        look = looks.take(realm(ended), after(60 * minute))

    pace = look.paces["realm", "demo"]
    assert pace.words() == ["10 per minute", "10m-57m left"]


def test_what_the_realm_knows_stands_until_three_minutes_were_seen() -> None:
    looks = Looks()
    told = {"per_minute": 40.0, "eta_seconds": [600, 900]}
    paces = [looks.take(realm(60 * minute) | told, after(60 * minute)).paces["realm", "demo"] for minute in range(4)]

    assert [pace.words() for pace in paces[:3]] == [["40 per minute", "10m-15m left"]] * 3
    assert paces[3].words() == ["60 per minute", "14m left"]


@pytest.mark.parametrize("told", [0.0, None])
def test_a_realm_that_has_seen_nothing_lately_does_not_hide_what_is_seen_now(told: float | None) -> None:
    looks = Looks()
    for second in (0, 60):
        look = looks.take(realm(second) | {"per_minute": told, "eta_seconds": None}, after(second))
    assert look.paces["realm", "demo"].per_minute == 60


def test_what_had_ended_before_the_first_look_is_left_out_and_what_ends_later_stays() -> None:
    looks = Looks()
    looks.take(realm(100, old=100, new=50), after(0))
    look = looks.take(realm(150, old=100, new=100), after(2))

    assert ("batch", "old") not in look.paces
    assert ("batch", "new") in look.paces


def test_two_hours_of_looks_keep_an_hour_of_samples_some_seconds_apart() -> None:
    looks = Looks()
    for second in range(0, 2 * 3600, 5):
        look = looks.take({"tag": "t", **counts(second, 200_000)}, after(second))

    assert look.paces["tag", "t"].per_minute == 60
    assert max(map(len, looks._samples.values())) <= 361


@pytest.mark.parametrize(
    ("soonest", "latest", "shown"),
    [
        (1, 9, "10s"),
        (41, 95, "50s-1m 40s"),
        (660, 840, "11m-14m"),
        (661, 719, "12m"),
        (7500, 11400, "2h 5m-3h 10m"),
        (90_000, 360_000, "1d 1h-4d 4h"),
    ],
)
def test_times_are_told_no_more_exactly_than_they_are_known(soonest: int, latest: int, shown: str) -> None:
    assert span((timedelta(seconds=soonest), timedelta(seconds=latest))) == shown


@pytest.mark.parametrize(
    ("rate", "shown"), [(0, "0"), (0.04, "<0.1"), (3.25, "3.2"), (38.4, "38"), (12_345.6, "12,346")]
)
def test_rates_are_short(rate: float, shown: str) -> None:
    assert per_minute(rate) == shown
