"""Which jobs a filter chooses, in lists and in counts, and what that costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.core import listing
from jobq.core.api import RealmApi
from jobq.core.listing import Filter, count_jobs, each_job, list_jobs
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel, change
from jobq.core.sweep import repair_orphans
from jobq.core.workers import WorkerRow
from jobq.model.fingerprint import error_of
from jobq.model.job import JobState, NewJob, Outcome, Reason, Spec
from tests.proof.actors import Worker, always
from tests.proof.world import World, count_all, new_job

SOON = timedelta(minutes=1)


async def ids(world: World, where: Filter) -> list[str]:
    return [job.id async for job in each_job(world.realm, where)]


async def count(world: World, where: Filter) -> int:
    return await count_all(world.realm, where)


async def run(world: World, *job_ids: str, worker: str) -> WorkerRow:
    """A worker that runs these jobs, and has said so."""
    jobs = []
    for job_id in job_ids:
        job = await change(world.realm, job_id, lambda job: replace(job, state=JobState.RUNNING, worker=worker))
        assert job is not None
        jobs.append(job)
    row = WorkerRow(world.realm, worker, 2)
    await row.beat(jobs, believe=SOON)
    return row


async def fail(world: World, tail: str, reason: Reason = Reason.EXIT) -> None:
    """The next job."""
    await Worker(world, world.realm, always(Outcome(reason, 1, tail=tail))).work(limit=1)


async def test_each_counter_has_its_list() -> None:
    # Given jobs in every state: two that a worker holds, one of a worker that is not believed any more
    world = World()
    await world.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(9)))
    await fail(world, "no such file")
    await Worker(world, world.realm).work(limit=2)
    await cancel(world.realm, "b-3")
    await run(world, "b-4", worker="dead")
    world.clock.move(by=SOON * 2)
    live = await run(world, "b-5", "b-6", worker="live")

    # When they are counted and listed
    for where in (Filter(), Filter(tag="t"), Filter(batch="b")):
        counts = await RealmApi(world.realm).total()
        lists = {state: await ids(world, replace(where, state=state)) for state in JobState}

        # Then each list has what its counter counts, and no job is in two of them
        assert {state.value: len(found) for state, found in lists.items()} == {
            state.value: counts[state] for state in JobState
        }
        assert lists[JobState.RUNNING] == ["b-5", "b-6"]
        assert lists[JobState.QUEUED] == ["b-4", "b-7", "b-8"]
        assert sorted(job_id for found in lists.values() for job_id in found) == [f"b-{n}" for n in range(9)]
        for state, found in lists.items():
            assert await count(world, replace(where, state=state)) == len(found)

    # And a job that has ended is not running, whatever its worker still says
    await change(world.realm, "b-5", lambda job: job.moved_to(JobState.SUCCEEDED))
    assert await ids(world, Filter(state=JobState.RUNNING)) == ["b-6"]
    await live.leave()
    assert await ids(world, Filter(state=JobState.RUNNING)) == []


async def test_running_jobs_cost_the_same_in_any_realm() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n:06}") for n in range(600)))
    await run(world, "b-000300", "b-000599", worker="w")
    meter = Meter()
    realm = world.process(metered(world.stack, meter))

    page = await list_jobs(realm, Filter(state=JobState.RUNNING))
    after = await list_jobs(realm, Filter(state=JobState.RUNNING), after="b-000300")

    assert [job.id for job in page.jobs] == ["b-000300", "b-000599"]
    assert [job.id for job in after.jobs] == ["b-000599"]
    assert meter == {"table.scan": 2, "table.get": 3}


async def test_what_nobody_holds_is_repaired_whatever_its_row_says() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(4)))
    await run(world, "b-0", worker="dead")
    world.clock.move(by=SOON * 2)
    await run(world, "b-1", worker="live")

    assert await repair_orphans(world.realm) == 3

    states = {job.id: job.state async for job in each_job(world.realm, Filter())}
    assert states == dict.fromkeys(states, JobState.QUEUED) | {"b-1": JobState.RUNNING}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (Filter(reason=Reason.OOM), ["b-1"]),
        (Filter(reason=Reason.CANCELLED), ["b-3"]),
        (Filter(reason=Reason.EXIT, tag="t"), ["b-2"]),
        (Filter(reason=Reason.TIMEOUT), []),
        (Filter(text="TRAIN"), ["b-0", "b-1"]),
        (Filter(text="train.py --seed 1"), ["b-1"]),
        (Filter(text="B-3"), ["b-3"]),
        (Filter(text='"straße": "größe"'), ["b-2"]),
        (Filter(text="STRASSE"), ["b-2"]),
        (Filter(text="train", state=JobState.FAILED, reason=Reason.EXIT), ["b-0"]),
        (Filter(text="none of it"), []),
    ],
)
async def test_jobs_are_found_by_reason_and_text(where: Filter, found: list[str]) -> None:
    world = World()
    await world.push(
        NewJob("b-0", Spec(command="python train.py --seed 0")),
        NewJob("b-1", Spec(command="python train.py --seed 1")),
        NewJob("b-2", Spec(kwargs={"straße": "größe"}, tags=("t",))),
        new_job("b-3"),
    )
    await fail(world, "one")
    await fail(world, "two", Reason.OOM)
    await fail(world, "three")
    await cancel(world.realm, "b-3")

    assert await ids(world, where) == found
    assert await count(world, where) == len(found)


async def test_jobs_that_failed_alike_are_found_without_reading_the_others() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n:06}", tags=("t",)) for n in range(300)))
    for tail in ("loss 0.5\nRuntimeError: 12 bytes", "KeyError: 'x'", "RuntimeError: 7 bytes"):
        await fail(world, tail)
    error = error_of(await world.realm.read("b-000000"))
    assert error is not None
    meter = Meter()
    world.realm = world.process(metered(world.stack, meter))

    for where in (Filter(error=error.key), Filter(error=error.key, state=JobState.FAILED, tag="t")):
        assert await ids(world, where) == ["b-000000", "b-000002"]
    assert meter == {"table.scan": 2 * 8, "table.get": 2 * 3}
    assert await ids(world, Filter(error=error.key, state=JobState.QUEUED)) == []
    assert await ids(world, Filter(error="0" * 12)) == []


async def test_page_ends_after_so_many_rows_whatever_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a match behind more jobs than a page may read
    monkeypatch.setattr(listing, "MAX_ROWS", 100)
    monkeypatch.setattr(listing, "SCAN", 20)
    world = World()
    await world.push(*(new_job(f"b-{n:06}") for n in range(500)))
    await cancel(world.realm, "b-000499")
    where, meter = Filter(state=JobState.CANCELLED), Meter()
    world.realm = world.process(metered(world.stack, meter))

    # When its list is read
    first = await list_jobs(world.realm, where)

    # Then the first page is empty and says where to go on, and all of them together have the match
    assert (first.jobs, first.next > "b-000050") == ([], True)
    assert meter == {"table.scan": 8}
    assert await ids(world, where) == ["b-000499"]


@pytest.mark.parametrize(
    "where",
    [
        Filter(),
        Filter(tag="t"),
        Filter(batch="b"),
        Filter(batch="b", tag="t"),
        Filter(lane="1"),
        Filter(state=JobState.FAILED),
        Filter(state=JobState.FAILED, tag="t"),
        Filter(state=JobState.QUEUED),
        Filter(text="1"),
    ],
)
async def test_lists_and_counts_in_parts_are_the_same_as_in_one(where: Filter, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.push(*(new_job(f"b-{n:03}", tags=("t",) if n % 3 else (), lanes=(str(n % 2),)) for n in range(60)))
    await world.push(new_job("other", tags=("t",)), batch="o")
    for _ in range(5):
        await fail(world, "x")

    whole = await ids(world, where)
    monkeypatch.setattr(listing, "COUNTED", 3)
    monkeypatch.setattr(listing, "SCAN", 3)
    monkeypatch.setattr(listing, "MAX_ROWS", 1)

    assert whole
    assert await ids(world, where) == whole
    assert await count(world, where) == len(whole)


@pytest.mark.parametrize(
    "where", [Filter(), Filter(tag="t"), Filter(batch="b"), Filter(state=JobState.FAILED), Filter(lane="0")]
)
async def test_counting_reads_no_job_by_itself_where_keys_or_columns_tell(where: Filter) -> None:
    world = World()
    await world.push(*(new_job(f"b-{n:03}", tags=("t",)) for n in range(40)))
    await fail(world, "x")
    meter = Meter()

    await count_jobs(world.process(metered(world.stack, meter)), where)

    assert meter.keys() == {"table.scan"}
