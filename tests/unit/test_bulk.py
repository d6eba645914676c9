"""Commands for many jobs: nothing is missed, nothing is done twice, and a part a time is all in the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.core import bulk
from jobq.core.api import RealmApi, Selection
from jobq.core.listing import Filter, each_job
from jobq.core.operate import change
from jobq.core.workers import WorkerRow
from jobq.errors import Unreachable
from jobq.model.job import Job, JobState
from tests.proof.actors import FAILED, Worker, always
from tests.proof.world import World, new_job

SOON = timedelta(minutes=1)


async def states(world: World) -> dict[str, JobState]:
    return {job.id: job.state async for job in each_job(world.realm, Filter())}


async def run(world: World, job_id: str) -> Job:
    job = await change(world.realm, job_id, lambda job: replace(job, state=JobState.RUNNING, worker="w"))
    assert job is not None
    return job


async def test_cancel_reaches_running_jobs_whether_their_worker_is_believed_or_not() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(3)))
    await WorkerRow(world.realm, "w", 1).beat([await run(world, "b-0")], believe=SOON)
    await run(world, "b-1")

    done = await RealmApi(world.realm).cancel(Selection(where=Filter()))

    assert (done["matched"], done["changed"], done["next"]) == (3, 3, None)
    assert (await world.realm.read("b-0")).cancel_requested
    assert (await world.realm.read("b-1")).cancel_requested
    assert (await states(world))["b-2"] is JobState.CANCELLED


async def test_command_passes_over_jobs_that_it_is_not_about() -> None:
    # Given a job that failed, one whose row says that it runs though no worker holds it, two that wait
    world = World()
    await world.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(4)))
    await Worker(world, world.realm, always(FAILED)).work(limit=1)
    await run(world, "b-1")
    api, tagged = RealmApi(world.realm), Filter(tag="t")

    # When those with a tag are moved and retried, and some that cannot be are asked for
    moved = await api.move(Selection(where=replace(tagged, state=JobState.QUEUED)), source="0", target="1")
    wrong = await api.retry(Selection(where=replace(tagged, state=JobState.QUEUED)))
    retried = await api.retry(Selection(where=tagged))

    # Then each command has changed what it is about, and only what was asked for by its state is refused
    assert (moved["matched"], moved["changed"]) == (2, 2)
    assert (wrong["matched"], wrong["changed"]) == (3, 0)
    assert (retried["matched"], retried["changed"]) == (1, 1)


async def test_preempt_is_about_what_workers_hold() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(3)))
    await run(world, "b-0")
    await WorkerRow(world.realm, "w", 1).beat([await run(world, "b-1")], believe=SOON)

    done = await RealmApi(world.realm).preempt(Selection(where=Filter(batch="b")))

    assert (done["matched"], done["changed"]) == (1, 1)


async def test_command_that_was_cut_off_is_completed_by_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a command whose backend fails in the middle
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(7)))
    act, left = bulk.Done._one, iter(range(3))

    async def fail_later(done: bulk.Done, job_id: str) -> str:
        if next(left, None) is None:
            raise Unreachable("no answer")
        return await act(done, job_id)

    api, all_of_them = RealmApi(world.realm), Selection(where=Filter(batch="b"))
    with monkeypatch.context() as patch:
        patch.setattr(bulk.Done, "_one", fail_later)
        with pytest.raises(Unreachable):
            await api.cancel(all_of_them)
    before = list((await states(world)).values()).count(JobState.CANCELLED)

    # When it is repeated
    done = await api.cancel(all_of_them)

    # Then it does the rest
    assert 2 <= before < 7
    assert (done["matched"], done["changed"]) == (7 - before, 7 - before)
    assert set((await states(world)).values()) == {JobState.CANCELLED}


async def test_parts_of_a_command_are_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PART", 3)
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(8)))
    api, chosen = RealmApi(world.realm, 0.0), Selection(where=Filter(batch="b"))

    changed, after = [], ""
    while after is not None:
        done = await api.remove(replace(chosen, after=after))
        changed.append(done["changed"])
        after = done["next"]

    assert changed == [3, 3, 2]
    assert await states(world) == {}
