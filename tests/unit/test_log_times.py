"""When output came: what is noted beside a log, and where a reader begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobq.core.logs import MOST_TIMES, PAST_THE_END, LogTimes, log_key, log_start, times_key
from jobq.core.operate import change, remove
from jobq.errors import NotFound
from jobq.model.job import JobState
from tests.proof.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_reader_begins_with_what_had_not_surely_come_by_then() -> None:
    times = LogTimes()
    for seconds, size in ((5, 100), (10, 200), (600, 300)):
        times.note(START + seconds * SECOND, size)

    read = LogTimes.decode(times.encoded())

    found = [read.size_at(START + seconds * SECOND) for seconds in (4, 5, 9, 10, 599, 600, 9999)]
    assert found == [0, 100, 100, 200, 200, 300, 300]


def test_nothing_has_come_by_any_time_where_nothing_is_noted() -> None:
    assert LogTimes.decode(LogTimes().encoded()).size_at(START) == 0


@given(st.integers(1, 20_000), st.integers(0, 20_000))
def test_times_of_a_long_log_are_few_and_never_late_nor_early_by_much(notes: int, asked: int) -> None:
    # Given a log that grows by a byte each second
    times = LogTimes()
    for seconds in range(1, notes + 1):
        times.note(START + seconds * SECOND, seconds)

    size = times.size_at(START + asked * SECOND)

    assert len(times.times) <= MOST_TIMES
    assert size <= min(asked, notes)
    assert min(asked, notes) - size <= max(1, notes / 200)


def test_clock_that_was_set_back_spoils_nothing() -> None:
    times = LogTimes()
    for seconds, size in ((10, 1), (5, 2), (20, 3)):
        times.note(START + seconds * SECOND, size)
    assert [times.size_at(START + seconds * SECOND) for seconds in (7, 15, 20)] == [0, 1, 3]


async def test_start_is_looked_up_for_the_attempt_asked_for() -> None:
    # Given a job whose second attempt runs; of the first it is known when its output came
    world = World()
    job = await world.push_one()
    running = replace(job, state=JobState.RUNNING, attempt=2, started_at=START + 100 * SECOND)
    await change(world.realm, job.id, lambda _: running)
    times = LogTimes([(START + 40 * SECOND, 7)])
    await world.stack.blobs.put(times_key(world.realm.name, job.id, 1), times.encoded())

    async def start(seconds: int, attempt: int | None = None) -> int:
        at = await world.job(job.id)
        return await log_start(world.realm, at, since=START + seconds * SECOND, attempt=attempt)

    # Then it begins there; at the whole where nothing is known, and nowhere where the attempt was over
    assert [await start(seconds, 1) for seconds in (39, 40, 99, 101)] == [0, 7, 7, PAST_THE_END]
    assert [await start(seconds) for seconds in (39, 101)] == [0, 0]
    with pytest.raises(NotFound, match="has no attempt 3"):
        await start(1, 3)

    # When it has ended
    ended = replace(await world.job(job.id), state=JobState.SUCCEEDED, ended_at=START + 200 * SECOND)
    await change(world.realm, job.id, lambda _: ended)
    assert [await start(seconds) for seconds in (199, 201)] == [0, PAST_THE_END]


async def test_job_that_is_removed_leaves_no_times() -> None:
    world = World()
    job = await world.push_one()
    await change(world.realm, job.id, lambda job: replace(job, state=JobState.SUCCEEDED, attempt=2))
    for key in (log_key, times_key):
        await world.stack.blobs.put(key(world.realm.name, job.id, 1), b"x")

    await remove(world.realm, job.id)

    assert await world.stack.blobs.list("") == []
