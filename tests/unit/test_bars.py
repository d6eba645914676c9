"""Bars: what their cells promise."""

import pytest

from jobq.cli.bars import ASCII, SHAPES, STATES, cells


def counts(
    succeeded: int = 0, failed: int = 0, cancelled: int = 0, running: int = 0, queued: int = 0
) -> dict[str, int]:
    return dict(zip(STATES, (succeeded, failed, cancelled, running, queued), strict=True))


def test_cells_are_shared_as_the_jobs_are() -> None:
    assert cells(counts(50, 25, queued=25), 20) == {"succeeded": 10, "failed": 5, "queued": 5}


def test_one_failure_and_one_job_that_remains_are_seen_among_many() -> None:
    assert cells(counts(99_998, 1, queued=1), 20) == {"succeeded": 18, "failed": 1, "queued": 1}


@pytest.mark.parametrize("width", range(5, 60))
def test_a_bar_is_as_wide_as_it_should_be(width: int) -> None:
    for jobs in (counts(1), counts(1, 1, 1, 1, 1), counts(7, 3, 0, 24, 415), counts(3, 3, 3, 0, 1_000_000)):
        assert sum(cells(jobs, width).values()) == width


def test_no_job_and_no_room_are_no_bar() -> None:
    assert cells(counts(), 20) == {}
    assert cells(counts(1, 1, 1), 2) == {}


def test_each_state_has_a_shape_of_its_own() -> None:
    assert len({*SHAPES.values()}) == len({*ASCII.values()}) == len(STATES)
    assert all(shape.isascii() for shape in ASCII.values())
