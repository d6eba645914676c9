"""What a worker is told to do about the announced end of its machine, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobq.worker.preemption import PATIENCE, SPARE, PreemptionWatch
from jobq.worker.scheduled_events import Notice, ScheduledEvents

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Told:
    """A worker that writes down what it is told, and a clock."""

    def __init__(self) -> None:
        self.what: list[timedelta | str | None] = []
        self.now = NOW

    def preempt(self, grace: timedelta | None) -> None:
        self.what.append(grace)

    def resume(self) -> None:
        self.what.append("resume")

    def watch(self) -> PreemptionWatch:
        return PreemptionWatch(ScheduledEvents("http://127.0.0.1:1"), self, now=lambda: self.now)


def notice(name: str = "a", *, in_seconds: float | None = 30) -> Notice:
    return Notice(name, "Preempt", None if in_seconds is None else NOW + timedelta(seconds=in_seconds))


def test_machine_that_goes_gives_its_jobs_the_time_that_is_left() -> None:
    told = Told()
    watch = told.watch()

    for _ in range(3):  # it is announced over and over
        watch.heed([notice()])

    assert told.what == [timedelta(seconds=30) - SPARE]


def test_machine_that_goes_now_gives_none_and_one_without_a_time_the_workers_own_grace() -> None:
    for left, grace in ((1, timedelta(0)), (-60, timedelta(0)), (None, None)):
        told = Told()
        told.watch().heed([notice(in_seconds=left)])
        assert told.what == [grace]


def test_worker_goes_on_when_the_end_is_withdrawn_and_stops_at_the_next() -> None:
    told = Told()
    watch = told.watch()

    watch.heed([notice("a")])
    watch.heed([])
    watch.heed([])
    watch.heed([notice("b")])

    assert told.what == [timedelta(seconds=27), "resume", timedelta(seconds=27)]


def test_another_event_in_place_of_the_first_changes_nothing() -> None:
    told = Told()
    watch = told.watch()

    watch.heed([notice("a")])
    watch.heed([notice("b")])

    assert told.what == [timedelta(seconds=27)]


def test_machine_that_outlives_its_end_works_again_and_is_not_stopped_by_the_same_event() -> None:
    told = Told()
    watch = told.watch()
    watch.heed([notice("a")])

    told.now = NOW + timedelta(seconds=30) + PATIENCE + timedelta(seconds=1)
    watch.heed([notice("a")])
    watch.heed([notice("a")])
    watch.heed([notice("a"), notice("b", in_seconds=300)])

    assert told.what == [timedelta(seconds=27), "resume", NOW + timedelta(seconds=300) - told.now - SPARE]
