"""Checkout as its callers see it, whatever the tickets travel through: what ends a lease is time, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobq.core.checkout import CheckedOut, ack, check_out, extend, nack
from jobq.core.operate import remove
from jobq.core.realm import Realm
from jobq.errors import LeaseLost
from jobq.model.job import JobState, Reason
from tests.behaviour.conftest import Stage
from tests.proof.scenarios import ONE_SHARD
from tests.proof.world import assert_counts_equal_rows, new_job
from tests.until import until

LONG = timedelta(hours=1)
"""A lease that no test outlives."""


async def take(stage: Stage, realm: Realm, lease: timedelta = LONG) -> CheckedOut:
    """The next job, within the time that leases and delays here take."""
    taken: list[CheckedOut] = []

    async def has_come() -> bool:
        taken.extend(await check_out([realm], lease=lease))
        return bool(taken)

    await until(has_come, within=timedelta(seconds=20), poll_seconds=0.1)
    return taken[0]


async def test_acknowledged_job_has_succeeded_and_leaves_nothing(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", tags=("t",)))
    held = await take(stage, stage.realm, stage.lease)

    await ack(stage.realm, "b-1", held.token, result=[1])
    stage.pass_time(stage.lease)
    worker = stage.worker()
    await stage.work(worker)  # the ticket that would have brought the job back

    jobs = await assert_counts_equal_rows(stage.realm)
    assert (jobs["b-1"].state, jobs["b-1"].result, jobs["b-1"].attempt) == (JobState.SUCCEEDED, [1], 1)
    assert not worker.started
    assert await stage.is_empty()


async def test_job_whose_lease_has_ended_comes_back_and_its_first_holder_is_too_late(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    lost = await take(stage, stage.realm, stage.lease)
    stage.pass_time(stage.lease)

    held = await take(stage, stage.world.process())

    assert (held.job.id, held.job.tries) == ("b-1", {Reason.LOST: 1})
    with pytest.raises(LeaseLost):
        await ack(stage.realm, "b-1", lost.token)
    await ack(stage.realm, "b-1", held.token)
    assert (await assert_counts_equal_rows(stage.realm))["b-1"].attempt == 2


async def test_worker_takes_over_what_a_caller_has_left(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    await take(stage, stage.realm, stage.lease)
    stage.pass_time(stage.lease)
    worker = stage.worker()

    await stage.work(worker)

    job = (await assert_counts_equal_rows(stage.realm))["b-1"]
    assert (job.state, job.attempt, job.tries) == (JobState.SUCCEEDED, 2, {Reason.LOST: 1})
    assert await stage.is_empty()


async def test_lease_that_is_extended_past_its_end_keeps_the_job(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    held = await take(stage, stage.realm, stage.lease)
    await extend(stage.realm, "b-1", held.token, lease=LONG)

    stage.pass_time(stage.lease)
    worker = stage.worker()
    await stage.work(worker)  # the first lease's ticket comes, and says nothing any more
    assert not worker.started
    await extend(stage.realm, "b-1", held.token, lease=LONG)
    assert await check_out([stage.world.process()]) == []

    job = await ack(stage.realm, "b-1", held.token)
    assert (job.attempt, job.tries) == (1, {})


async def test_job_given_back_is_there_at_once(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    held = await take(stage, stage.realm)

    await nack(stage.realm, "b-1", held.token)
    again = await take(stage, stage.world.process())

    assert (again.job.attempt, again.job.tries) == (2, {Reason.PREEMPTED: 1})


async def test_removed_job_is_gone_and_its_ticket_brings_nothing(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"))
    held = await take(stage, stage.realm, stage.lease)

    await remove(stage.world.process(), "b-1")
    with pytest.raises(LeaseLost):
        await ack(stage.realm, "b-1", held.token)
    stage.pass_time(stage.lease)
    await stage.work(stage.worker())

    assert await assert_counts_equal_rows(stage.realm) == {}
    assert await stage.is_empty()


async def test_jobs_of_a_chunk_are_handed_out_one_by_one(stage: Stage) -> None:
    ids = [f"b-{n}" for n in ONE_SHARD]
    await stage.world.push(*map(new_job, ids), chunk=3)

    taken = [await take(stage, stage.realm) for _ in ids]

    assert sorted(one.job.id for one in taken) == sorted(ids)
    assert [one.job.attempt for one in taken] == [1, 1, 1]


async def test_job_in_two_lanes_is_handed_out_once_from_the_lower(stage: Stage) -> None:
    await stage.world.push(new_job("b-1", lanes=("0", "1")), new_job("b-2", lanes=("1",)))

    taken = [await take(stage, stage.realm), await take(stage, stage.realm)]

    assert [(one.job.id, one.lane) for one in taken] == [("b-1", "0"), ("b-2", "1")]
    assert await check_out([stage.realm]) == []


async def test_callers_side_by_side_never_get_the_same_job(stage: Stage) -> None:
    await stage.world.push(*(new_job(f"b-{n}") for n in range(12)))
    realms = [stage.world.process() for _ in range(3)]
    ids: list[str] = []

    async def has_all() -> bool:
        answers = await asyncio.gather(*(check_out([realm], count=2, lease=LONG) for realm in realms))
        ids.extend(one.job.id for held in answers for one in held)
        return len(ids) >= 12

    await until(has_all, within=timedelta(seconds=30), poll_seconds=0.05)

    assert sorted(ids) == sorted(f"b-{n}" for n in range(12))
