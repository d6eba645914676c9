"""Rates and what they promise."""

from datetime import UTC, datetime, timedelta

from jobq.model.pace import Sample, eta, rate

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def samples(*ended: int) -> list[Sample]:
    """One a minute."""
    return [Sample(START + minute * MINUTE, count) for minute, count in enumerate(ended)]


def test_rate_is_that_of_the_window() -> None:
    assert rate(samples(0, 100, 110, 120), 2 * MINUTE) == 10
    assert rate(samples(0, 100, 110, 120), timedelta(hours=1)) == 40


def test_no_rate_comes_of_fewer_than_two_moments() -> None:
    assert rate([], MINUTE) is None
    assert rate(samples(5), MINUTE) is None
    assert rate(samples(5, 6), timedelta(seconds=30)) is None


def test_retries_that_take_ends_back_are_no_negative_rate() -> None:
    assert rate(samples(50, 20), MINUTE) == 0


def test_eta_lies_between_the_fastest_and_the_slowest_window() -> None:
    soonest, latest = eta(samples(0, 1, 2, 3, 4, 14, 24, 34), remaining=70) or (None, None)

    assert (soonest, latest) == (7 * MINUTE, 70 / (34 / 7) * MINUTE)


def test_time_before_the_first_end_says_nothing_of_the_rate() -> None:
    assert rate(samples(0, 0, 0, 0, 10, 20), timedelta(hours=1)) == 10
    assert eta(samples(0, 0, 0, 0, 10, 20), remaining=50) == (5 * MINUTE, 5 * MINUTE)
    assert rate(samples(0, 0, 0), timedelta(hours=1)) == 0


def test_eta_of_what_does_not_move_or_has_ended_is_unknown() -> None:
    assert eta(samples(5, 5), remaining=3) is None
    assert eta(samples(0, 5), remaining=0) is None
    assert eta([], remaining=3) is None
