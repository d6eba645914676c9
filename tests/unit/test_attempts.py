"""What a job remembers of its attempts: each that ended while it went on, bounded, at no cost where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from jobq.core.acknowledge import nack
from jobq.core.checkout import check_out
from jobq.core.decide import Verdict, after_attempt, claimed, given_back
from jobq.core.documents import job_document
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel, change, retry
from jobq.core.ports import Delivery
from jobq.core.rows import job_key, partition_of
from jobq.core.sweep import repair_orphans
from jobq.model.attempts import KEPT, attempts_from_json, attempts_of, attempts_to_json, remembered
from jobq.model.job import Attempt, Job, JobState, Limits, Outcome, Reason, Spec
from tests.proof.actors import FAILED, PREEMPTED, Worker, always, succeed
from tests.proof.world import LEASE, World, new_job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(minutes=10)


async def shown(world: World, job_id: str = "b-1") -> list[tuple[int, str | None, bool]]:
    """Of each attempt its number, its reason, and whether it has ended."""
    document = job_document(await world.realm.read(job_id))
    return [(each["attempt"], each["reason"], each["ended_at"] is not None) for each in document["attempt_list"]]


async def test_job_that_succeeds_at_once_stores_no_word_of_its_attempts() -> None:
    world = World()
    await world.push(new_job("b-1"))
    assert await shown(world) == []

    await Worker(world, world.realm).work()

    row = await world.stack.table.get(partition_of(world.realm.name, "b-1"), job_key("b-1"))
    assert row is not None
    assert "past" not in row.values
    assert await shown(world) == [(1, None, True)]


async def test_each_attempt_is_told_of_with_how_it_ended() -> None:
    # Given a job that is preempted, fails, loses its worker, and is running again
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=3)))
    await Worker(world, world.realm, always(PREEMPTED), name="w-1").work()
    world.clock.move(by=LATER)
    await Worker(world, world.realm, always(FAILED), name="w-2").work()
    world.clock.move(by=LATER)
    (lost,) = await world.queue().receive(1, lease=LEASE)
    await Worker(world, world.realm, name="w-3").take("0", lost)
    world.clock.move(by=LATER)
    (again,) = await world.queue().receive(1, lease=LEASE)
    last = Worker(world, world.realm, name="w-4")
    held = await last.take("0", again)
    assert held is not None

    # When it is shown while it runs, and when it has succeeded
    running = await shown(world)
    await last.run(held)
    done = job_document(await world.realm.read("b-1"))["attempt_list"]

    # Then there is an entry for each attempt, the present one last
    before = [(1, "preempted", True), (2, "exit", True), (3, "lost", True)]
    assert running == [*before, (4, None, False)]
    assert [(each["reason"], each["worker"]) for each in done] == [
        ("preempted", "w-1"),
        ("exit", "w-2"),
        ("lost", "w-3"),
        (None, "w-4"),
    ]
    assert [(each["exit_code"], each["message"]) for each in done[:2]] == [(None, "the machine went"), (1, None)]
    assert all(each["started_at"] <= each["ended_at"] for each in done)


async def test_job_that_people_retry_keeps_its_attempts() -> None:
    world = World()
    await world.push(new_job("b-1"))
    await Worker(world, world.realm, always(FAILED)).work()
    await retry(world.realm, "b-1")
    assert await shown(world) == [(1, "exit", True)]

    await cancel(world.realm, "b-1")
    assert await shown(world) == [(1, "exit", True)]

    await retry(world.realm, "b-1")
    await Worker(world, world.realm).work()
    assert await shown(world) == [(1, "exit", True), (2, None, True)]


async def test_job_that_was_repaired_has_lost_an_attempt() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2"))
    (delivery, _) = await world.queue().receive(2, lease=LEASE)
    await Worker(world, world.realm).take("0", delivery)

    await repair_orphans(world.realm)

    assert await shown(world) == [(1, "lost", True)]
    assert await shown(world, "b-2") == []


async def test_attempt_of_a_checkout_does_not_give_its_token_away() -> None:
    world = World()
    await world.push(new_job("b-1", limits=Limits(retries=1)))
    (held,) = await check_out([world.realm])
    await nack(world.realm, "b-1", held.token, failed=True, exit_code=7)

    (attempt,) = job_document(await world.realm.read("b-1"))["attempt_list"]

    assert (attempt["worker"], attempt["reason"], attempt["exit_code"]) == ("checkout", "exit", 7)


def running(attempt: int = 1, **fields: object) -> Job:
    job = Job("j", "b", Spec(command="true"), state=JobState.RUNNING, attempt=attempt, started_at=NOW, worker="w")
    return replace(job, **fields)  # type: ignore[arg-type]  # fields of a job


def test_job_that_was_given_back_was_not_tried() -> None:
    job = given_back(running(), NOW)
    assert job is not None
    assert attempts_of(job) == ()

    taken_over = claimed(running(), Verdict.TAKE_OVER, claim_id="c", delivery=_delivery(), worker="v", now=NOW)
    assert taken_over is not None
    back = given_back(taken_over, NOW)
    assert back is not None
    assert [attempt.number for attempt in attempts_of(back)] == [1]


def test_chunk_that_came_back_was_an_attempt_of_what_ran() -> None:
    split = [
        claimed(job, Verdict.SPLIT, claim_id="", delivery=_delivery(), worker="v", now=NOW)
        for job in (running(), replace(running(0), state=JobState.QUEUED))
    ]
    assert [[attempt.reason for attempt in job.past] for job in split if job] == [[Reason.LOST], []]


def test_first_and_last_attempts_are_remembered() -> None:
    job = running()
    for number in range(1, 61):
        after = after_attempt(replace(job, attempt=number), Outcome(Reason.PREEMPTED), now=NOW, spread=0.5)
        assert after is not None
        job = replace(after, state=JobState.RUNNING)

    shown = [attempt.number for attempt in attempts_of(replace(job, attempt=61))]

    assert shown == [*range(1, 10), *range(51, 62)]
    assert len(shown) == 20


def test_what_is_remembered_fits_a_text_column_whatever_was_said() -> None:
    job = running(KEPT, worker="w" * 200, message="\N{PILE OF POO}" * 500, seconds=1234.56789, exit_code=-(2**31))
    past = tuple(replace(attempt, number=10_000 + n) for n, attempt in enumerate(remembered(job, ended_at=NOW) * KEPT))

    text = attempts_to_json(past)

    assert len(text) < 32 * 1024
    assert attempts_from_json(json.loads(text)) == past


@pytest.mark.parametrize("reason", [None, Reason.LOST])
def test_attempts_are_stored_as_they_are(reason: Reason | None) -> None:
    attempt = Attempt(3, NOW, None, 0.5, "w", reason, None, "x")
    assert attempts_from_json(json.loads(attempts_to_json([attempt]))) == (attempt,)


async def test_memory_costs_no_transaction() -> None:
    # Given a job that remembers nothing, and one that remembers as much as it may
    many = tuple(Attempt(n, NOW, NOW, 1.0, "w", Reason.EXIT, 1, "x" * 100) for n in range(1, KEPT + 1))
    meters = []
    for past in ((), many):
        world, meter = World(), Meter()
        await world.push(new_job("b-1", limits=Limits(retries=50)))
        await change(world.realm, "b-1", partial(replace, past=past, attempt=KEPT))

        # When an attempt fails, the next one is lost, and the last one succeeds
        worker = Worker(world, world.process(metered(world.stack, meter)), always(FAILED))
        await worker.work()
        world.clock.move(by=LATER)
        (lost,) = await worker.realm.queue("0").receive(1, lease=LEASE)
        await worker.take("0", lost)
        world.clock.move(by=LATER)
        worker.outcome = succeed
        await worker.work()
        job = await world.realm.read("b-1")
        meters.append(meter)

        # Then all is remembered
        assert (job.state, len(job.past)) == (JobState.SUCCEEDED, min(KEPT, len(past) + 2))

    # And at the same cost
    assert meters[0] == meters[1]


def _delivery() -> Delivery:
    return Delivery("m", 2, b"", "receipt", LEASE)
