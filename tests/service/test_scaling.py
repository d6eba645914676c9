"""The decision how many machines there should be, and a day of such decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from jobq.core.backlog import Load
from jobq_service.scaling import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Fleet,
    Memory,
    Rules,
    after_refusal,
    decide,
    load_of_all,
    settled,
)

NOW = datetime(2026, 11, 25, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NEW = Memory()


def load(waiting: int, running: int = 0) -> Load:
    return Load(waiting, running, MINUTE if waiting else None)


def wanted(
    jobs: Load, working: int, rules: Rules, memory: Memory = NEW, *, capacity: int | None = None, changing: bool = False
) -> int | None:
    fleet = Fleet(working if capacity is None else capacity, working, changing)
    return decide(jobs, fleet, rules, memory, NOW).capacity


@pytest.mark.parametrize(
    ("jobs", "working", "rules", "expected"),
    [
        (load(0), 0, Rules(), None),
        (load(1), 0, Rules(), 1),
        (load(25), 0, Rules(most=100, jobs_per_instance=10), 3),
        (load(25), 0, Rules(most=2, jobs_per_instance=10), 2),
        (load(5, running=8), 2, Rules(jobs_per_instance=4), 4),
        (load(5, running=3), 3, Rules(jobs_per_instance=4), None),  # there are free slots
        (load(0, running=9), 1, Rules(), None),  # they run elsewhere
        (load(0), 0, Rules(least=2), 2),
        (load(0), 5, Rules(), None),  # they leave by themselves
        (load(50), 10, Rules(most=10), None),
    ],
)
def test_fleet_grows_to_what_waits_and_runs_and_is_never_made_smaller(
    jobs: Load, working: int, rules: Rules, expected: int | None
) -> None:
    assert wanted(jobs, working, rules) == expected


def test_machines_that_leave_or_failed_are_made_up_for() -> None:
    assert wanted(load(4), 2, Rules(), capacity=5) == 7
    assert wanted(load(4), 2, Rules(most=6), capacity=5) == 6
    assert wanted(load(4), 2, Rules(most=5), capacity=5) is None


def test_nothing_changes_while_a_change_is_under_way_or_was_a_moment_ago() -> None:
    lately = Memory(changed_at=NOW - MINUTE)
    earlier = Memory(changed_at=NOW - 3 * MINUTE)

    assert wanted(load(4), 1, Rules(cooldown=3 * MINUTE), lately) is None
    assert wanted(load(4), 1, Rules(cooldown=3 * MINUTE), earlier) == 4
    assert wanted(load(4), 1, Rules(), changing=True) is None


def test_what_was_refused_is_not_asked_for_again_before_its_pause_is_over() -> None:
    refused = after_refusal(NEW, 8, NOW)

    assert wanted(load(9), 0, Rules(), refused) == 4  # half-way
    assert wanted(load(9), 6, Rules(), refused) == 7
    assert wanted(load(9), 7, Rules(), refused) is None
    assert wanted(load(9), 7, Rules(), replace(refused, refused_until=NOW)) == 8


def test_pause_doubles_with_each_refusal_and_ends_with_a_success() -> None:
    memory, pauses = NEW, []
    for _ in range(6):
        memory = after_refusal(memory, 8, NOW)
        assert memory.refused_until is not None
        pauses.append(memory.refused_until - NOW)

    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE
    assert settled(replace(memory, asked=8), Fleet(8, 8), NOW) == NEW
    assert settled(replace(memory, asked=7), Fleet(7, 7), NOW) == memory
    assert settled(replace(memory, asked=8), Fleet(8, 3, is_changing=True), NOW).asked == 8


def test_machines_that_did_not_come_are_asked_for_again_when_the_pause_is_over() -> None:
    fleet = Fleet(10, 4, has_failed=True)
    memory = settled(Memory(asked=10), fleet, NOW)

    assert (memory.asked, memory.ceiling, memory.refusals) == (0, 10, 1)
    assert decide(load(20), fleet, Rules(), memory, NOW).capacity is None
    assert decide(load(20), fleet, Rules(), memory, NOW + FIRST_PAUSE).capacity == 10


def test_retries_that_are_delayed_wait_for_no_machine() -> None:
    delayed = Load(waiting=5, running=1, oldest=None)

    assert load_of_all([delayed, load(2, running=3)]) == Load(waiting=2, running=4, oldest=MINUTE)
    assert load_of_all([delayed]).waiting == 0
    assert load_of_all([]) == Load(0, 0, None)


@dataclass
class Machine:
    starts_at: int
    busy_until: int = -1
    idle_since: int = -1
    is_evicted: bool = False


@dataclass
class Day:
    """A scale set and its jobs, minute by minute. A machine runs one job at a time, and starts in three minutes."""

    arrivals: Callable[[int], int]
    rules: Rules = field(default_factory=lambda: Rules(most=20))
    quota: int = 1000
    evictions: Callable[[int], int] = lambda minute: 0
    job_minutes: int = 12
    idle_minutes: int = 10
    memory: Memory = NEW
    machines: list[Machine] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    """When each of the waiting jobs came."""
    waits: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    """Machines, each minute."""
    changes: int = 0
    refused: int = 0
    killed_busy: int = 0
    finished: int = 0

    def run(self, minutes: int = 24 * 60) -> Day:
        for minute in range(minutes):
            self._work(minute)
            self._scale(minute)
            self.sizes.append(len(self.machines))
        return self

    def _work(self, minute: int) -> None:
        self.waiting += [minute] * self.arrivals(minute)
        for machine in self.machines:
            if machine.busy_until == minute:
                self.finished += 1
        for machine in self.machines[: self.evictions(minute)]:
            if machine.busy_until > minute:
                self.waiting.append(minute)  # it goes back to the queue
            machine.is_evicted = True
        self.machines = [machine for machine in self.machines if not machine.is_evicted]
        for machine in self.machines:
            if machine.starts_at <= minute and machine.busy_until <= minute:
                if self.waiting:
                    self.waits.append(minute - self.waiting.pop(0))
                    machine.busy_until, machine.idle_since = minute + self.job_minutes, -1
                elif machine.idle_since < 0:
                    machine.idle_since = minute
        self.machines = [m for m in self.machines if not 0 <= m.idle_since <= minute - self.idle_minutes]

    def _scale(self, minute: int) -> None:
        now = NOW + minute * MINUTE
        running = sum(machine.busy_until > minute for machine in self.machines)
        size = len(self.machines)
        fleet = Fleet(size, size, is_changing=any(machine.starts_at > minute for machine in self.machines))
        self.memory = settled(self.memory, fleet, now)
        found = decide(load(len(self.waiting), running), fleet, self.rules, self.memory, now)
        if found.capacity is None:
            return
        self.killed_busy += found.capacity < size
        self.memory = replace(self.memory, changed_at=now, asked=found.capacity)
        if found.capacity > self.quota:
            self.refused += 1
            self.memory = after_refusal(self.memory, found.capacity, now)
            return
        self.changes += 1
        self.machines += [Machine(minute + 3) for _ in range(found.capacity - size)]


def office_hours(minute: int) -> int:
    """40 jobs at 9, 13 and 17 o'clock, one each 5 minutes between, and none in the night."""
    hour, rest = divmod(minute, 60)
    if rest == 0 and hour in (9, 13, 17):
        return 40
    return int(9 <= hour < 18 and minute % 5 == 0)


ARRIVALS = sum(map(office_hours, range(24 * 60)))
LAST = 18 * 60


def assert_quiet_at_night(day: Day) -> None:
    done_by = next(minute for minute in range(LAST, 24 * 60) if not any(day.sizes[minute:]))
    assert done_by < 20 * 60
    assert set(day.sizes[: 9 * 60]) == {0}


def test_day_with_bursts_is_drained_soon_with_few_changes_and_a_night_without_machines() -> None:
    day = Day(office_hours).run()

    assert (day.finished, day.killed_busy, day.refused) == (ARRIVALS, 0, 0)
    assert max(day.sizes) == 20
    assert max(day.waits) <= 3 + 12 * 3  # 40 jobs on 20 machines that were not there, and those that came meanwhile
    assert day.changes <= 25
    assert_quiet_at_night(day)


def test_day_under_a_quota_of_seven_finds_seven_machines_and_does_not_hammer() -> None:
    day = Day(office_hours, quota=7).run()

    assert (day.finished, day.killed_busy) == (ARRIVALS, 0)
    assert max(day.sizes) == 7
    assert day.refused <= 24
    assert max(day.waits) <= 150
    assert_quiet_at_night(day)


def test_day_of_evictions_loses_no_job_and_replaces_the_machines() -> None:
    day = Day(office_hours, evictions=lambda minute: 3 if minute % 20 == 7 else 0).run()

    assert (day.finished, day.killed_busy) == (ARRIVALS, 0)
    assert max(day.waits) <= 75
    assert day.changes <= 60  # two for each of 27 evictions by day
    assert_quiet_at_night(day)


def test_steady_load_is_no_reason_to_change_all_the_time() -> None:
    day = Day(lambda minute: int(minute % 3 == 0)).run()

    assert day.killed_busy == 0
    assert max(day.waits) <= 10
    assert day.changes <= 8


def test_least_is_kept_through_the_night() -> None:
    day = Day(lambda minute: 0, Rules(least=2), idle_minutes=10**6).run()

    assert (day.changes, set(day.sizes)) == (1, {2})
