"""How often an idle worker asks, and what that costs."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from jobq.adapters import storage_queue
from jobq.core.meter import Meter, metered
from jobq.core.ports import QueueLimits
from jobq.core.realm import Realm
from jobq.core.sweep import sweep_if_due
from jobq.core.workers import WorkerRow
from jobq.worker import heart
from jobq.worker.pace import Pace

STORAGE: QueueLimits = storage_queue.LIMITS
MOST_REQUESTS_PER_SECOND = 0.2


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(STORAGE.poll_seconds, STORAGE.idle_poll_seconds, clock, random.Random(1))


def waits_during(pace: Pace, clock: Clock, seconds: float, lanes: int = 1) -> list[float]:
    """The waits of a worker that gets nothing for so long."""
    end, waits = clock.now + seconds, []
    while clock.now < end:
        waits.append(pace.next_wait(lanes))
        clock.now += waits[-1]
    return waits


def test_worker_asks_promptly_within_a_minute_of_the_last_ticket(pace: Pace, clock: Clock) -> None:
    waits = waits_during(pace, clock, 59)

    assert max(waits) <= STORAGE.poll_seconds * 1.2
    assert sum(waits) / len(waits) / 2 < 0.5  # so long a ticket waits on average


def test_worker_asks_ever_more_seldom_when_nothing_comes(pace: Pace, clock: Clock) -> None:
    waits_during(pace, clock, 600)

    waits = waits_during(pace, clock, 600)
    assert min(waits) >= STORAGE.idle_poll_seconds * 0.8
    assert max(waits) <= STORAGE.idle_poll_seconds * 1.2


def test_workers_do_not_ask_in_step(pace: Pace, clock: Clock) -> None:
    waits = waits_during(pace, clock, 30)

    assert len({round(wait, 6) for wait in waits}) > len(waits) / 2


def test_ticket_makes_the_worker_prompt_again(pace: Pace, clock: Clock) -> None:
    waits_during(pace, clock, 600)

    pace.active()

    assert pace.next_wait(1) <= STORAGE.poll_seconds * 1.2


def test_lanes_share_the_questions(pace: Pace, clock: Clock) -> None:
    waits_during(pace, clock, 600, lanes=3)

    waits = waits_during(pace, clock, 6000, lanes=3)
    assert 3 * len(waits) / 6000 < 1.1 / STORAGE.idle_poll_seconds


async def test_worker_idle_for_ten_minutes_makes_few_requests(pace: Pace, clock: Clock, realm: Realm) -> None:
    # Given what one receive, one beat, one look for lanes and one sweep cost, as the meter counts them
    receive, beat, look, sweep = [await _cost(realm, what) for what in ("receive", "beat", "look", "sweep")]

    # When a worker has been idle for ten minutes, and goes on being idle for an hour
    waits_during(pace, clock, 600)
    hour = 3600.0
    waits = waits_during(pace, clock, hour)
    since_look, looks = 0.0, 0
    for wait in waits:
        since_look += wait
        is_due = since_look >= pace.look_after
        looks, since_look = (looks + 1, 0.0) if is_due else (looks, since_look)
    sweeps = hour / (heart.LONGEST_SWEEP.total_seconds() * 0.8)
    beats = hour / heart.LONGEST_BEAT

    # Then
    requests = receive * len(waits) + look * looks + beat * beats + sweep * sweeps
    print(f"{requests / hour:.3f} requests a second after ten idle minutes")
    assert requests / hour <= MOST_REQUESTS_PER_SECOND


async def _cost(realm: Realm, what: str) -> int:
    """Storage transactions of one of the things an idle worker does, not for the first time."""
    meter = Meter()
    idle = Realm(metered(realm.stack, meter), realm.name)
    row = WorkerRow(idle, "w", 1)
    lease = timedelta(minutes=10)
    await row.beat([], believe=lease)
    meter.clear()
    if what == "receive":
        await idle.queue("0").receive(1, lease=lease)
    if what == "beat":
        await row.beat([], believe=lease)
    if what == "look":
        await idle.lanes()
    if what == "sweep":
        assert await sweep_if_due(idle, "w")
    await row.leave() if what != "sweep" else None
    return meter.total() - (what != "sweep")
