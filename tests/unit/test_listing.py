"""Lists of jobs: order, pages and filters, over all shards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.core.api import RealmApi
from jobq.core.listing import Filter, each_job, list_jobs
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel, change, remove
from jobq.core.workers import WorkerRow
from jobq.model.job import JobState, Progress
from jobq.model.names import key_part
from tests.proof.actors import FAILED, Worker, always
from tests.proof.world import World, new_job


async def world_of(count: int, **options: object) -> World:
    world = World()
    await world.push(*(new_job(f"b-{n:06}", **options) for n in range(count)))  # type: ignore[arg-type]  # options
    return world


async def ids(world: World, where: Filter | None = None) -> list[str]:
    return [job.id async for job in each_job(world.realm, where or Filter())]


async def test_jobs_of_all_shards_are_listed_by_id() -> None:
    world = await world_of(300)
    assert await ids(world) == [f"b-{n:06}" for n in range(300)]


@pytest.mark.parametrize("limit", [1, 7, 50, 64])
async def test_pages_follow_each_other_without_gaps_or_repeats(limit: int) -> None:
    world = await world_of(130, tags=("t",))
    for where in (Filter(), Filter(tag="t")):
        found: list[str] = []
        after = ""
        while True:
            page = await list_jobs(world.realm, where, after=after, limit=limit)
            found += [job.id for job in page.jobs]
            assert len(page.jobs) <= limit
            after = page.next
            if not after:
                break
        assert found == [f"b-{n:06}" for n in range(130)]


async def test_page_of_running_jobs_says_how_far_they_are_at_the_cost_of_one_read() -> None:
    # Given three jobs that run in two workers, one of which tells of two, and a queued one
    world, meter = await world_of(4), Meter()
    for number in range(3):
        await change(world.realm, f"b-{number:06}", lambda job: replace(job, state=JobState.RUNNING, worker="w1"))
    await change(world.realm, "b-000002", lambda job: replace(job, worker="w2"))
    told = {"b-000000": Progress(0.5, "half"), "b-000002": Progress(0.1)}
    await WorkerRow(world.realm, "w1", 2).beat([], believe=timedelta(minutes=1), progress=told)
    await WorkerRow(world.realm, "w2", 2).beat([], believe=timedelta(minutes=1))

    # When they are listed
    api = RealmApi(world.process(metered(world.stack, meter)))
    jobs = (await api.jobs(Filter()))["jobs"]
    queued = (await api.jobs(Filter(), after="b-000002"))["jobs"]

    # Then each says what its own worker was told, and a page on which nothing runs costs nothing more
    assert [job["progress"] for job in jobs] == [{"fraction": 0.5, "text": "half"}, None, None, None]
    assert [job["progress"] for job in queued] == [None]
    assert meter == {"table.scan": 8 + 1 + 8}


async def test_filters_hold_together() -> None:
    world = World()
    await world.push(new_job("a", tags=("t",)), new_job("b", tags=("t", "u"), lanes=("1",)), new_job("c"))
    await world.push(new_job("d", tags=("u",)), batch="other")
    await cancel(world.realm, "a")

    assert await ids(world, Filter(tag="t")) == ["a", "b"]
    assert await ids(world, Filter(tag="t", state=JobState.QUEUED)) == ["b"]
    assert await ids(world, Filter(state=JobState.CANCELLED)) == ["a"]
    assert await ids(world, Filter(batch="other")) == ["d"]
    assert await ids(world, Filter(lane="1")) == ["b"]
    assert await ids(world, Filter(tag="u", batch="b")) == ["b"]
    assert await ids(world, Filter(tag="none")) == []


async def test_failed_jobs_are_found_without_reading_the_others() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n:06}", tags=("t",)) for n in range(400)))
    await Worker(world, world.realm, always(FAILED)).work(limit=3)
    meter = Meter()
    world.realm = world.process(metered(world.stack, meter))

    for where in (
        Filter(state=JobState.FAILED),
        Filter(tag="t", state=JobState.FAILED),
        Filter(batch="b", state=JobState.FAILED),
    ):
        assert await ids(world, where) == ["b-000000", "b-000001", "b-000002"]

    assert meter == {"table.scan": 3 * 8, "table.get": 3 * 3}


async def test_names_of_any_characters_are_listed() -> None:
    names = ["a/b", "ü", "~", "x" * 200, "é" * 100, "100%", "a b"]
    world = World()
    await world.push(*(new_job(name, tags=("ta/g",)) for name in names))
    await Worker(world, world.realm, always(FAILED)).work()

    for where in (Filter(), Filter(tag="ta/g"), Filter(state=JobState.FAILED)):
        assert await ids(world, where) == sorted(names, key=key_part)


async def test_job_that_goes_while_it_is_listed_is_passed_over() -> None:
    world = await world_of(60, tags=("t",))
    first = await list_jobs(world.realm, Filter(tag="t"), limit=10)
    await remove(world.realm, "b-000010")
    await remove(world.realm, first.jobs[-1].id)

    second = await list_jobs(world.realm, Filter(tag="t"), after=first.next, limit=2)

    assert [job.id for job in second.jobs] == ["b-000011", "b-000012"]


async def test_rare_match_in_many_jobs_is_found() -> None:
    world = await world_of(500)
    await cancel(world.realm, "b-000499")
    page = await list_jobs(world.realm, Filter(state=JobState.CANCELLED), limit=1)
    assert [job.id for job in page.jobs] == ["b-000499"]


async def test_empty_realm_has_an_empty_page() -> None:
    page = await list_jobs(World().realm, Filter())
    assert (page.jobs, page.next) == ([], "")


async def test_jobs_of_a_batch_are_found_without_reading_the_others() -> None:
    # given
    world = await world_of(400)
    await world.push(*(new_job(job_id) for job_id in ("mine", "small-000001", "small-000002", "a/b")), batch="small")
    meter = Meter()
    realm = replace(world.realm, stack=metered(world.realm.stack, meter))

    # when
    page = await list_jobs(realm, Filter(batch="small"))

    # then
    assert [job.id for job in page.jobs] == ["a/b", "mine", "small-000001", "small-000002"]
    assert meter == {"table.scan": 16, "table.get": 2}
