"""What a page that polls is told, against the truth, and what that costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobq.core import summary as summaries
from jobq.core.api import RealmApi
from jobq.core.groups import grouped
from jobq.core.meter import Meter, metered
from jobq.core.operate import cancel, remove, retry
from jobq.core.ports import MAX_CHANGES, create
from jobq.core.rows import count_key, named_since, partition, values_of_counts
from jobq.core.status import batch_status, tag_status
from jobq.core.sweep import FOLD_AFTER, sweep
from jobq.core.transition import join, move
from jobq.core.workers import WorkerRow
from jobq.errors import NotFound
from jobq.model.counts import RUN_BOUNDS, Counts
from jobq.model.fingerprint import error_of
from jobq.model.job import Job, JobState, Limits, Outcome, Reason, Spec
from jobq.model.names import SHARDS, shard_of
from tests.proof.actors import FAILED, OK, PREEMPTED, Worker, always
from tests.proof.scenarios import Scenario
from tests.proof.world import World, assert_counts_equal_rows, jobs_in, new_job

MINUTE = timedelta(minutes=1)
READS = 28

Document = dict[str, Any]


async def store(world: World, jobs: Iterable[Job]) -> None:
    """Rows of jobs, with all that is counted of them, in few transactions and without tickets."""
    for shard in range(SHARDS):
        own = [job for job in jobs if shard_of(job.id) == shard]
        for group in grouped((job, move(None, job)) for job in own):
            unit, _ = join([unit for _, unit in group])
            await world.realm.commit(unit)


async def count(world: World, names: Mapping[str, str], counts: Counts) -> None:
    """Counter rows of these labels, as if they had so many jobs in shard 0."""
    values = values_of_counts(counts, world.clock.now())
    rows = [
        create(count_key(label, "w"), values | named_since(name, str(values["at"]))) for label, name in names.items()
    ]
    for start in range(0, len(rows), MAX_CHANGES):
        await world.stack.table.commit(partition(world.name, 0), rows[start : start + MAX_CHANGES])


async def reads(world: World) -> int:
    meter = Meter()
    await RealmApi(world.process(metered(world.stack, meter))).summary()
    assert set(meter) <= {"table.get", "table.scan"}
    return meter.total()


async def asked(world: World) -> Document:
    return await RealmApi(world.process()).summary()


def truth(jobs: Iterable[Job], running: Iterable[str] = ()) -> Document:
    """The counts that a summary shows, from the jobs themselves."""

    def six(own: list[Job]) -> Document:
        by_state = Counter(str(job.state) for job in own)
        held = sum(job.id in set(running) for job in own)
        ended = {state: by_state[state] for state in ("succeeded", "failed", "cancelled")}
        return {"total": len(own), "queued": len(own) - held - sum(ended.values()), "running": held, **ended}

    jobs = list(jobs)
    tags, batches = sorted({tag for job in jobs for tag in job.spec.tags}), {job.batch for job in jobs}
    errors = Counter((error.key, error.line) for job in jobs if (error := error_of(job)))
    return {
        "counts": six(jobs),
        "lanes": {lane: six([job for job in jobs if lane in job.spec.lanes]) for lane in ("0", "1")},
        "tags": [{"tag": tag, **six([job for job in jobs if tag in job.spec.tags])} for tag in tags],
        "batches": {batch: six([job for job in jobs if job.batch == batch]) for batch in batches},
        "failures": sorted((key, line, jobs) for (key, line), jobs in errors.items()),
    }


def shown(found: Document) -> Document:
    """The same part of a summary."""
    names = ("total", "queued", "running", "succeeded", "failed", "cancelled")
    return {
        "counts": found["counts"],
        "lanes": {own["lane"]: {name: own[name] for name in names} for own in found["lanes"]},
        "tags": found["tags"],
        "batches": {own["batch"]: {name: own[name] for name in names} for own in found["batches"]},
        "failures": sorted((own["error"], own["line"], own["jobs"]) for own in found["failures"]),
    }


async def test_summary_takes_the_same_reads_of_3_jobs_and_of_thousands_of_jobs_batches_tags_and_failures() -> None:
    small, large = World(), World()
    await small.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(3)))
    await large.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(2000)))
    for kind in "bte":
        await count(large, {f"{kind}{n:04}": f"{n:04}" for n in range(3000)}, Counts(total=1, failed=1))

    before = [await reads(small), await reads(large)]
    for world in (small, large):
        await sweep(world.realm)

    assert [*before, await reads(small), await reads(large)] == [READS] * 4


def many_failures(count: int, batch: str = "f") -> list[Job]:
    failed = Job("", batch, Spec(command="true"), state=JobState.FAILED, reason=Reason.EXIT)
    return [replace(failed, id=f"{batch}-{n}", tail=letters(n)) for n in range(count)]


def letters(number: int) -> str:
    """A number in letters: figures do not tell failures apart."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


async def test_summary_equals_the_truth_whatever_happens_to_jobs() -> None:
    scenario = Scenario()
    world = scenario.world

    async def check(running: Iterable[str] = ()) -> None:
        jobs = await assert_counts_equal_rows(world.realm)
        assert shown(await asked(world)) == truth(jobs.values(), running)

    two = ("0", "1")
    await world.push(*(new_job(f"b-{n}", tags=("t", f"u{n}"), lanes=two) for n in range(1, 6)))
    await world.push(*(new_job(f"c-{n}", lanes=two, limits=Limits(retries=1)) for n in range(1, 6)), batch="c")
    await check()
    await Worker(world, world.process(), always(FAILED)).work(limit=3)
    await Worker(world, world.process(), always(PREEMPTED)).work(limit=2)
    await Worker(world, world.process(), always(OK)).work(limit=2)
    await check()
    holder, held = await scenario.hold()
    await WorkerRow(holder.realm, "holder", 3).beat(held.jobs, believe=10 * MINUTE)
    await check([job.id for job in held.jobs])
    await holder.run(held)
    await WorkerRow(holder.realm, "holder", 3, etag=await etag_of(world, "holder")).leave()
    failed = [job.id for job in (await jobs_in(world.realm)).values() if job.state is JobState.FAILED]
    await retry(world.realm, failed[0])
    await remove(world.realm, failed[1])
    await cancel(world.process(), "c-5")
    await check()
    world.clock.move(by=2 * FOLD_AFTER)
    await sweep(world.process())
    await check()


async def etag_of(world: World, worker: str) -> str:
    row = await world.stack.table.get(f"{world.name}~workers", worker)
    assert row is not None
    return row.etag


async def test_what_has_happened_outlives_its_jobs_and_shows_no_batch_that_has_none() -> None:
    world = World()
    await world.push(new_job("b-1", tags=("t",)))
    await Worker(world, world.process(), always(PREEMPTED)).work()
    await Worker(world, world.process(), always(Outcome(seconds=45))).work()
    [batch] = (await asked(world))["batches"]
    assert batch["preempted"] == 1

    await remove(world.process(), "b-1")

    found = await asked(world)
    assert (found["batches"], found["tags"], found["lanes"]) == ([], [], [])
    runs = dict(zip(found["durations"]["bounds"], found["durations"]["counts"], strict=False))
    assert runs == {**dict.fromkeys(RUN_BOUNDS, 0), 60: 1}
    for missing in (batch_status(world.realm, "b"), tag_status(world.realm, "t")):
        with pytest.raises(NotFound):
            await missing


async def test_only_whole_labels_are_shown_and_it_says_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given tags and failures of several writers, more than a page holds, and lanes that fill pages
    world = World()
    for start in range(0, 60, 20):
        world.realm = world.process()
        await world.push(*(new_job(f"b-{n}", tags=(f"t{n % 12}",), lanes=("0", "1")) for n in range(start, start + 20)))
    await Worker(world, world.process(), lambda job: Outcome(Reason.EXIT, tail=letters(int(job.id[2:])))).work(limit=32)
    expected = truth((await jobs_in(world.realm)).values())

    for page in (1, 2, 3, 7, 10, 1000):
        monkeypatch.setattr(summaries, "PAGE", page)
        found = await asked(world)

        # Then
        part = shown(found)
        assert (part["counts"], part["lanes"]) == (expected["counts"], expected["lanes"])
        assert part["tags"] == expected["tags"][: len(part["tags"])]
        assert set(part["failures"]) <= set(expected["failures"])
        assert found["more_tags"] or part["tags"] == expected["tags"]
        assert found["more_failures"] or part["failures"] == expected["failures"]
        assert found["more_batches"] or part["batches"] == expected["batches"]
    assert [found[name] for name in ("more_tags", "more_failures", "more_batches")] == [False] * 3


async def test_latest_batches_of_thousands_are_shown_and_old_ones_as_the_last_sweep_saw_them() -> None:
    # Given 1,500 batches of the past, an old one that is not done, and a sweep
    world = World()
    await world.push(new_job("a-1"), new_job("a-2"), batch="a")
    world.clock.move(by=MINUTE)
    await count(world, {f"bn{n:04}": f"n{n:04}" for n in range(1500)}, Counts(total=1, succeeded=1))
    world.clock.move(by=MINUTE)
    await world.push(new_job("x1-1"), batch="x1")
    await sweep(world.realm)

    # When more is pushed, and some is done
    world.clock.move(by=MINUTE)
    await world.push(new_job("x2-1"), new_job("x2-2"), batch="x2")
    done = await Worker(world, world.process(), lambda job: OK if job.id in ("a-1", "x2-1") else FAILED).work()

    # Then
    found = await asked(world)
    assert (done, len(found["batches"]), found["more_batches"]) == (5, 50, True)
    assert ended(found["batches"][:4]) == [("a", 0, 0), ("x2", 1, 1), ("x1", 0, 1), ("n1499", 1, 0)]
    world.clock.move(by=MINUTE)
    await sweep(world.realm)
    assert ended((await asked(world))["batches"][:4]) == [("x2", 1, 1), ("x1", 0, 1), ("n1499", 1, 0), ("n1498", 1, 0)]


def ended(batches: list[Document]) -> list[tuple[str, int, int]]:
    """Name, succeeded and failed."""
    return [(own["batch"], own["succeeded"], own["failed"]) for own in batches]


async def test_summary_does_not_change_while_nothing_happens_however_often_it_is_swept() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(30)))
    for _ in range(15):
        await Worker(world, world.process(), always(OK)).work(limit=1)
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
    for _ in range(25):  # the rates of the last ten minutes come to rest, and what they promised goes
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
    before = await asked(world)

    for _ in range(40):
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
        assert await asked(world) == before
    assert before["per_minute"] == {"succeeded": 0, "failed": 0, "preempted": 0}


async def test_rates_of_what_nobody_has_looked_at_lately_are_not_known() -> None:
    world = World()
    await world.push(*(new_job(f"b-{n}") for n in range(30)))
    for _ in range(5):
        await Worker(world, world.process(), always(OK)).work(limit=1)
        await sweep(world.realm)
        world.clock.move(by=MINUTE)
    assert (await asked(world))["per_minute"] == {"succeeded": 1.25, "failed": 0, "preempted": 0}

    world.clock.move(by=11 * MINUTE)
    await Worker(world, world.process(), always(OK)).work(limit=1)

    found = await asked(world)
    assert found["per_minute"] == {"succeeded": None, "failed": 0, "preempted": 0}
    assert (found["eta_seconds"], found["batches"][0]["per_minute"]) == (None, None)


async def test_tag_with_jobs_left_beyond_the_page_is_shown_as_the_sweeper_saw_it() -> None:
    world = World()
    await world.push(new_job("b-1", tags=("zz",)))
    await count(world, {f"ta{n:04}": f"a{n:04}" for n in range(1500)}, Counts(total=1, succeeded=1))
    assert "zz" not in [own["tag"] for own in (await asked(world))["tags"]]

    await sweep(world.realm)

    found = await asked(world)
    assert (found["tags"][-1]["tag"], found["tags"][-1]["queued"], found["more_tags"]) == ("zz", 1, True)


async def test_failure_beyond_the_page_is_shown_as_the_sweeper_saw_it() -> None:
    world = World()
    await store(world, many_failures(30))
    often = replace(many_failures(1, "z")[0], tail="so it goes")
    await store(world, [replace(often, id=f"z-{n}") for n in range(9)])
    await sweep(world.realm)
    assert (await asked(world))["failures"][0]["jobs"] == 9

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summaries, "PAGE", 1)
        found = await asked(world)

    assert (found["failures"][0]["line"], found["failures"][0]["jobs"]) == ("exit: so it goes", 9)
    assert found["more_failures"]
