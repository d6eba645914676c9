"""How long jobs have waited, and how many workers it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from jobq.core.backlog import Load, RealmBacklog, load_of, realm_backlog, waited, wanted_workers
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel
from jobq.core.ports import Stack
from jobq.core.status import RealmStatus
from jobq.core.workers import WorkerRow
from jobq.errors import BadInput, Unreachable
from jobq.model.counts import Counts, Tally
from jobq.model.job import Job, JobState, Limits, Outcome, Reason, Spec
from jobq.model.retry import Backoff
from tests.proof.actors import FAILED, Worker, always
from tests.proof.faults import Fault, FaultyStack
from tests.proof.scenarios import Scenario
from tests.proof.world import START, World, new_job

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def oldest(world: World, stack: Stack | None = None) -> Mapping[str, timedelta]:
    return (await realm_backlog(world.process(stack))).oldest


async def test_oldest_job_of_each_lane_has_waited_since_its_push() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2", lanes=("5",)))
    world.clock.move(by=MINUTE)
    await world.push(new_job("b-3", lanes=("5", "night")))
    world.clock.move(by=MINUTE)

    assert await oldest(world) == {"0": 2 * MINUTE, "5": 2 * MINUTE, "night": MINUTE}


async def test_lane_in_which_nothing_waits_has_no_oldest_job() -> None:
    world = World()
    assert await oldest(world) == {}

    await world.push_one()
    await Worker(world, world.realm).work()

    assert await oldest(world) == {}


async def test_job_that_a_live_worker_runs_does_not_wait_though_its_ticket_can_be_seen() -> None:
    """As on Service Bus, where a look shows locked messages, too."""
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1"))
    holder, held = await scenario.hold()
    await WorkerRow(holder.realm, "holder", 1).beat(held.jobs, believe=2 * HOUR)
    world.clock.move(by=HOUR)  # the ticket's lease is over
    await world.push(new_job("b-2"))
    world.clock.move(by=MINUTE)

    assert await oldest(world) == {"0": MINUTE}


async def test_job_whose_worker_is_lost_waits_since_that_was_believed_last() -> None:
    scenario = Scenario()
    world = scenario.world
    await world.push(new_job("b-1"))
    holder, held = await scenario.hold()
    await WorkerRow(holder.realm, "holder", 1).beat(held.jobs, believe=10 * MINUTE)

    world.clock.move(by=HOUR)

    assert await oldest(world) == {"0": HOUR - 10 * MINUTE}


async def test_tickets_of_jobs_that_wait_no_more_do_not_count() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))
    await world.queue().send([b"not a ticket"])
    await cancel(world.realm, "b-1")
    await cancel(world.realm, "b-2")
    world.clock.move(by=HOUR)
    await world.push(new_job("b-3"))
    world.clock.move(by=MINUTE)

    assert await oldest(world) == {"0": MINUTE}


async def test_retry_waits_from_the_moment_it_is_due() -> None:
    world = World()
    limits = Limits(retries=1, backoff=Backoff(HOUR, HOUR))
    await world.push(new_job("b-1", limits=limits))
    await Worker(world, world.realm, always(FAILED)).work()
    due_at = (await world.job("b-1")).due_at
    assert due_at

    before = await oldest(world)
    world.clock.moment = due_at + MINUTE

    after = {lane: round(age.total_seconds()) for lane, age in (await oldest(world)).items()}
    assert (before, after) == ({}, {"0": 60})


async def test_job_that_was_preempted_waits_since_then() -> None:
    world = World()
    await world.push_one()
    world.clock.move(by=HOUR)
    preempted = Outcome(Reason.PREEMPTED, seconds=0.0)
    await Worker(world, world.realm, always(preempted)).work()
    world.clock.move(by=MINUTE)

    assert await oldest(world) == {"0": MINUTE}


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (None, None),
        (Job("a", "b", Spec(), state=JobState.CANCELLED), None),
        (Job("a", "b", Spec()), 3 * HOUR),
        (Job("a", "b", Spec(), due_at=START + HOUR), HOUR),
        (Job("a", "b", Spec(), due_at=START + 3 * HOUR), None),
        (Job("a", "b", Spec(), started_at=START, seconds=3600.0), HOUR),
        (Job("a", "b", Spec(), state=JobState.RUNNING, started_at=START, worker="dead"), 2 * HOUR - MINUTE),
        (Job("a", "b", Spec(), state=JobState.RUNNING, started_at=START, worker="alive"), None),
        (Job("a", "b", Spec(), state=JobState.RUNNING, started_at=START, worker="unknown"), 2 * HOUR),
    ],
)
def test_job_waits_since_the_last_that_is_known_of_it(job: Job | None, expected: timedelta | None) -> None:
    now = START + 2 * HOUR
    believed = {"dead": START + MINUTE, "alive": now + MINUTE}

    assert waited(job, 3 * HOUR, now, believed) == expected


@pytest.mark.parametrize("jobs", [3, 300])
async def test_backlog_costs_the_same_for_any_number_of_jobs(jobs: int) -> None:
    world, meter = World(), Meter()
    await world.push(*(new_job(f"b-{n}", lanes=("0", "5")) for n in range(jobs)))

    await realm_backlog(world.process(metered(world.stack, meter)))

    assert meter == {"table.scan": 9, "table.get": 3, "queue.look": 4}


async def test_batches_are_not_read() -> None:
    world, meter = World(), Meter()
    await world.push(new_job("b-1", tags=("t",)))

    status = (await realm_backlog(world.process(metered(world.stack, meter)))).status

    assert (status.batches, list(status.tags), list(status.lanes)) == ({}, ["t"], ["0"])


async def test_backend_in_trouble_is_an_error_and_not_an_empty_backlog() -> None:
    world = World()
    await world.push_one()
    faulty = FaultyStack(world.stack)
    faulty.break_at("queue.look", Fault.REFUSED)

    with pytest.raises(Unreachable):
        await oldest(world, faulty)


def tally(queued: int, running: int) -> Tally:
    return Tally(Counts(total=queued + running), running)


def backlog(paused: tuple[str, ...] = ()) -> RealmBacklog:
    lanes = {"0": tally(3, 1), "5": tally(10, 2), "night": tally(100, 0)}
    status = RealmStatus(realm=tally(111, 3), lanes=lanes, paused=paused)
    return RealmBacklog(status, {"5": HOUR, "night": 2 * HOUR})


@pytest.mark.parametrize(
    ("paused", "max_lane", "load"),
    [
        ((), None, Load(111, 3, 2 * HOUR)),  # two jobs are in two lanes
        ((), "0", Load(3, 1, None)),
        ((), "10", Load(13, 3, HOUR)),
        (("night",), None, Load(13, 3, HOUR)),
        (("5",), "night", Load(103, 3, 2 * HOUR)),
        (("*",), None, Load(0, 3, None)),
    ],
)
def test_load_leaves_out_paused_and_higher_lanes(paused: tuple[str, ...], max_lane: str | None, load: Load) -> None:
    assert load_of(backlog(paused), max_lane) == load


@pytest.mark.parametrize(
    ("jobs", "per_worker", "least", "most", "wanted"),
    [
        (0, 1, 0, None, 0),
        (0, 1, 2, None, 2),
        (1, 4, 0, None, 1),
        (4, 4, 0, None, 1),
        (5, 4, 0, None, 2),
        (1000, 1, 0, 20, 20),
        (1000, 100, 15, 20, 15),
        (5, 1, 3, 3, 3),
        (5, 1, 0, 0, 0),
    ],
)
def test_workers_are_wanted_for_all_that_waits_and_runs(
    jobs: int, per_worker: int, least: int, most: int | None, wanted: int
) -> None:
    load = Load(waiting=jobs // 2, running=jobs - jobs // 2, oldest=None)

    assert wanted_workers(load, jobs_per_worker=per_worker, least=least, most=most) == wanted


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(BadInput, match="at least 3 workers and at most 2"):
        wanted_workers(Load(0, 0, None), least=3, most=2)
