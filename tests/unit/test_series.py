"""Readings over time: which are kept, and the points that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.model.series import (
    HOURS,
    MINUTES,
    NEAR_STEPS,
    QUIET_AFTER,
    RINGS,
    TENS,
    Numbers,
    Reading,
    Ring,
    of_list,
    points,
    to_list,
)
from jobq.model.wire import dumps

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALWAYS = START - timedelta(days=1)
LARGE = Numbers(*[10**9] * 6)


def read(minutes: float, succeeded: int = 0, **more: int) -> Reading:
    return Reading(START + minutes * MINUTE, Numbers(succeeded, **more))


def kept(ring: Ring, readings: Sequence[Reading]) -> list[Reading]:
    """What is left of readings that come one after the other."""
    ringed: list[Reading] = []
    for reading in readings:
        ringed = ring.with_one_more(ringed, reading) or ringed
    return ringed


def shown(readings: Sequence[Reading], ring: Ring = MINUTES, since: datetime = ALWAYS) -> list[tuple[float, int]]:
    """Minute and what succeeded."""
    return [((one.at - START) / MINUTE, one.numbers.succeeded) for one in points(readings, ring, since)]


def test_first_reading_of_each_step_is_kept_and_the_oldest_go() -> None:
    readings = [read(minute / 2, succeeded=minute) for minute in range(2000)]

    minutes, hours = kept(MINUTES, readings), kept(HOURS, readings)

    assert [one.at for one in minutes] == [START + minute * MINUTE for minute in range(820, 1000)]
    assert [one.at for one in hours] == [START + hour * 60 * MINUTE for hour in range(17)]


def test_reading_of_a_clock_that_is_behind_is_not_kept() -> None:
    assert MINUTES.with_one_more([read(5)], read(3, succeeded=7)) is None


def test_nothing_is_kept_of_a_quiet_realm_once_ten_minutes_say_so() -> None:
    busy = [read(minute, succeeded=minute) for minute in range(4)]
    quiet = [read(minute, succeeded=3) for minute in range(4, 500)]

    minutes, tens = kept(MINUTES, [*busy, *quiet]), kept(TENS, [*busy, *quiet])

    assert [one.at for one in minutes] == [START + minute * MINUTE for minute in range(14)]
    assert [one.numbers.succeeded for one in tens] == [0, 3, 3]
    assert kept(MINUTES, [*minutes, read(600, succeeded=4)])[-1] == read(600, succeeded=4)


def test_realm_with_a_worker_is_never_quiet() -> None:
    assert len(kept(MINUTES, [read(minute, workers=1) for minute in range(60)])) == 60


def test_points_are_what_came_in_each_step_and_how_it_stood_at_its_end() -> None:
    readings = [read(0, 5, waiting=3), read(1, 7, waiting=2, failed=1), read(2, 7, running=1, failed=1, preempted=4)]

    [first, second] = points(readings, MINUTES, ALWAYS)

    assert (first.at, first.numbers) == (START + MINUTE, Numbers(2, failed=1, waiting=2))
    assert (second.at, second.numbers) == (START + 2 * MINUTE, Numbers(0, preempted=4, running=1))


def test_sweeps_that_drift_make_no_spikes() -> None:
    """One job a second; sweeps come anywhere in a minute, and one is missed."""
    readings = [read(at / 60, succeeded=at) for at in (30, 95, 140, 200, 341, 395)]

    assert shown(readings) == [(1, 30), (2, 60), (3, 60), (4, 60), (5, 60), (6, 60)]


def test_what_came_in_a_gap_counts_to_its_end_and_the_gap_has_no_points() -> None:
    readings = [read(0), read(1, 10), read(61, 110), read(62, 120)]

    assert shown(readings) == [(1, 10), (61, 100), (62, 10)]


def test_only_points_of_the_range_are_shown() -> None:
    readings = [read(minute, minute) for minute in range(10)]

    assert shown(readings, since=START + 7 * MINUTE) == [(8, 1), (9, 1)]


def test_realm_that_began_anew_shows_nothing_less_than_nothing() -> None:
    assert shown([read(0, 50), read(1, 3), read(2, 5)]) == [(1, 0), (2, 2)]


@pytest.mark.parametrize("readings", [[], [read(1, 5)]])
def test_fewer_than_two_readings_make_no_point(readings: list[Reading]) -> None:
    assert points(readings, MINUTES, ALWAYS) == []


@given(st.lists(st.tuples(st.integers(1, 30 * 60), st.integers(0, 50)), max_size=30))
def test_points_add_up_to_all_that_came(steps: list[tuple[int, int]]) -> None:
    at, total, readings = 0, 0, [read(0)]
    for seconds, came in steps:
        at, total = at + seconds, total + came
        readings.append(read(at / 60, total))
    end = -(-at // 60) + NEAR_STEPS
    readings.append(read(end, total))

    made = shown(readings)

    assert sum(came for _, came in made) == total
    assert all(came >= 0 for _, came in made)
    assert [at for at, _ in made] == sorted({at for at, _ in made})


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_full_ring_of_large_numbers_fits_in_a_text_column(ring: Ring) -> None:
    readings = [replace(read(0), at=START + step * ring.step, numbers=LARGE) for step in range(ring.size)]

    assert len(dumps([*map(to_list, readings)])) < 32 * 1024
    assert [of_list(to_list(one)) for one in readings] == readings


def test_quiet_is_as_long_as_rates_look_back() -> None:
    from jobq.core.summary import RECENT

    assert QUIET_AFTER == RECENT
