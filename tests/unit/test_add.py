"""`if_exists=add`: the same job added again gets more tags and lanes, and once it has ended, another run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.core.finish import finish, settle
from jobq.core.operate import cancel, remove
from jobq.core.outbox import PATIENCE, repair_all
from jobq.core.push import Push
from jobq.core.status import realm_status
from jobq.model.job import IfExists, Job, JobState, Limits, NewJob, Pushed, PushStatus, Spec
from jobq.model.names import ADDED, MAX_LANES, MAX_TAGS, id_of_text
from tests.proof.actors import FAILED, OK, Worker, always, go_on
from tests.proof.faults import Fault, FaultyStack
from tests.proof.scenarios import Scenario
from tests.proof.world import World, assert_counts_equal_rows, new_job, outbox_rows

TEXT = "ls -lah"
ID = id_of_text(TEXT)
LARGE = "x" * 40_000


def text_job(*, tags: tuple[str, ...] = (), lanes: tuple[str, ...] = ("0",), command: str = TEXT) -> NewJob:
    return new_job(ID, tags=tags, lanes=lanes, command=command)


async def add(world: World, *jobs: NewJob) -> Pushed:
    """The answer for the last one."""
    return (await world.push(*jobs, batch=ADDED, if_exists=IfExists.ADD))[-1]


async def added(world: World, job: NewJob) -> Job:
    assert (await add(world, job)).status is not PushStatus.REFUSED
    return await world.job(job.id)


async def test_same_text_added_again_is_the_same_job_with_the_tags_of_both() -> None:
    world = World()
    first = await added(world, text_job(tags=("work",)))

    answer = await add(world, text_job(tags=("fun", "work")))

    assert (answer.status, answer.state, answer.error) == (PushStatus.EXISTS, JobState.QUEUED, "")
    job = await world.job(ID)
    assert (job.spec.tags, job.generation) == (("work", "fun"), first.generation)
    status = await realm_status(world.realm)
    assert (status.realm.queued, {tag: tally.queued for tag, tally in status.tags.items()}) == (
        1,
        {"work": 1, "fun": 1},
    )
    await assert_counts_equal_rows(world.realm)
    assert (await go_on(world)).started == {ID: 1}


async def test_nothing_is_written_for_what_is_there_already() -> None:
    world = World()
    before = await added(world, text_job(tags=("t",)))
    assert await added(world, text_job(tags=("t",))) == before


async def test_new_lane_of_a_queued_job_has_a_valid_ticket_and_it_runs_once() -> None:
    world = World()
    before = await added(world, text_job())

    job = await added(world, text_job(lanes=("1",), tags=("t",)))

    assert (job.spec.lanes, job.generation) == (("0", "1"), before.generation + 1)
    assert await world.realm.lanes() == ["0", "1"]
    assert await outbox_rows(world.realm) == 0
    worker = Worker(world, world.realm)
    await worker.work("1")
    assert worker.started == {ID: 1}
    assert (await go_on(world)).started == {}
    await assert_counts_equal_rows(world.realm)


async def test_lane_whose_ticket_was_dropped_while_it_ran_has_one_again() -> None:
    """Else a job that leaves the other lane has none."""
    world = World()
    await added(world, NewJob(ID, Spec(command=TEXT, lanes=("0", "1"), limits=Limits(retries=3))))
    scenario = Worker(world, world.process(), always(FAILED))
    await scenario.work("0")
    await Worker(world, world.process()).work("1")

    await added(world, text_job(lanes=("2",)))

    world.clock.move(by=timedelta(hours=1))
    worker = Worker(world, world.realm)
    await worker.work("1")
    assert worker.started == {ID: 1}


@pytest.mark.parametrize(
    "other",
    [
        Spec(command="ls -la"),
        Spec(kwargs={"data": TEXT}),
        Spec(command=TEXT, env={"A": "1"}),
        Spec(command=TEXT, outputs="/srv/out"),
        Spec(command=TEXT, files=f"202601-{'a' * 64}"),
        Spec(command=LARGE),
    ],
    ids=["command", "kwargs", "env", "outputs", "files", "large"],
)
async def test_other_data_under_the_same_id_is_a_conflict_and_changes_nothing(
    other: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    before = await added(world, text_job())
    await world.stack.blobs.put(f"file/{world.name}/202601-{'a' * 64}", b"")

    answer = await add(world, NewJob(ID, replace(other, tags=("t",), lanes=("1",))))

    assert answer.status is PushStatus.REFUSED
    assert answer.error.startswith(f"conflict: job {ID} is there with other data")
    assert await world.job(ID) == before
    assert await world.stack.blobs.list("payload/") == []


async def test_limits_and_the_month_of_files_are_no_other_data() -> None:
    world = World()
    months = [f"{month}-{'a' * 64}" for month in ("202512", "202601")]
    for name in months:
        await world.stack.blobs.put(f"file/{world.name}/{name}", b"")
    await added(world, NewJob(ID, Spec(command=TEXT, files=months[0], limits=Limits(retries=2))))

    job = await added(world, NewJob(ID, Spec(command=TEXT, files=months[1], limits=Limits(retries=7))))

    assert (job.spec.files, job.spec.limits.retries) == (months[0], 2)


async def test_large_data_is_compared_and_kept_once() -> None:
    world = World()
    await added(world, text_job(command=LARGE))
    blobs = await world.stack.blobs.list("")

    job = await added(world, text_job(command=LARGE, tags=("t",)))
    assert (job.spec.tags, await world.stack.blobs.list("")) == (("t",), blobs)
    assert "conflict" in (await add(world, text_job(command=LARGE + "y"))).error

    await world.stack.blobs.delete(job.payload_blob)
    refused = await add(world, text_job(command=LARGE))
    assert refused.error == f"it exists and cannot be compared: its payload, blob {job.payload_blob}, is gone"
    assert await world.stack.blobs.list("") == []


@pytest.mark.parametrize("ends_as", ["succeeded", "failed", "cancelled"])
async def test_job_that_has_ended_is_queued_anew_with_the_tags_of_both(ends_as: str) -> None:
    world = World()
    await added(world, text_job(tags=("old",), lanes=("0", "1"), command=LARGE))
    if ends_as == "cancelled":
        await cancel(world.realm, ID)
    await Worker(world, world.process(), always(OK if ends_as == "succeeded" else FAILED)).work()

    answer = await add(world, text_job(tags=("new",), lanes=("2",), command=LARGE))

    assert (answer.status, answer.state) == (PushStatus.QUEUED, JobState.QUEUED)
    job = await world.job(ID)
    assert (job.spec.tags, job.spec.lanes, job.reason, job.tries) == (("old", "new"), ("2",), None, {})
    assert await world.stack.blobs.list("payload/") == [job.payload_blob]
    assert (await go_on(world, lanes=("0", "1", "2"))).started == {ID: 1}
    await assert_counts_equal_rows(world.realm)


async def test_running_job_gets_tags_that_are_right_when_it_has_ended_and_no_lanes() -> None:
    scenario = Scenario()
    world = scenario.world
    await added(world, text_job())
    holder, held = await scenario.hold()

    answer = await add(world, text_job(tags=("t",)))
    assert (answer.status, answer.state) == (PushStatus.EXISTS, JobState.RUNNING)
    refused = await add(world, text_job(lanes=("0", "1"), tags=("u",)))
    assert refused.error == f"job {ID} is running; its lanes stay as they are until it has ended"

    await finish(holder.realm, held, held.jobs[0], FAILED)
    await settle(held)
    jobs = await assert_counts_equal_rows(world.realm)
    assert (jobs[ID].state, jobs[ID].spec.tags, jobs[ID].spec.lanes) == (JobState.FAILED, ("t",), ("0",))


async def test_job_that_is_being_removed_is_not_added_to() -> None:
    scenario = Scenario()
    await added(scenario.world, text_job())
    await scenario.hold()
    await remove(scenario.world.realm, ID)

    assert "is being removed; add it again" in (await add(scenario.world, text_job(tags=("t",)))).error


async def test_more_tags_and_lanes_than_a_job_can_have_are_refused() -> None:
    world = World()
    await added(world, text_job(tags=tuple(f"t{n}" for n in range(MAX_TAGS)), lanes=tuple(map(str, range(MAX_LANES)))))
    before = await world.job(ID)

    tags, lanes = await add(world, text_job(tags=("one",))), await add(world, text_job(lanes=("bulk",)))

    assert tags.error == "21 tags are too many, with those it has: a job has at most 20"
    assert lanes.error == "11 lanes are too many, with those it has: a job has at most 10"
    assert await world.job(ID) == before


async def test_all_tags_and_lanes_that_a_job_can_have_are_added_at_once() -> None:
    world = World()
    await added(world, text_job(lanes=("0",)))
    job = await added(world, text_job(tags=tuple(f"t{n}" for n in range(20)), lanes=tuple(map(str, range(1, 10)))))
    assert (len(job.spec.tags), len(job.spec.lanes)) == (20, 10)
    await assert_counts_equal_rows(world.realm)


async def test_add_whose_reply_was_lost_is_made_once() -> None:
    world = World()
    before = await added(world, text_job())
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    await realm.open_lanes(["0", "1"])
    stack.break_next(Fault.REPLY_LOST, skip=4)  # reads, the refused creation, reads, and then

    job = text_job(lanes=("1",), tags=("t",))
    [answer] = await Push(realm, ADDED, IfExists.ADD).run([job])

    assert stack.has_failed
    assert answer.status is PushStatus.EXISTS
    assert (await world.job(ID)).generation == before.generation + 1
    world.clock.move(by=PATIENCE)
    await repair_all(world.realm)
    assert (await go_on(world)).started == {ID: 1}
    await assert_counts_equal_rows(world.realm)


async def test_many_are_added_at_once_each_with_its_answer() -> None:
    world = World()
    jobs = [new_job(f"job {n}", tags=("t",)) for n in range(150)]
    await world.push(*jobs[:100], batch=ADDED)

    answers = await world.push(
        *(new_job(job.id, tags=("u",), lanes=("1",)) for job in jobs), batch=ADDED, if_exists=IfExists.ADD
    )

    assert [answer.id for answer in answers] == [job.id for job in jobs]
    assert [answer.status for answer in answers] == [PushStatus.EXISTS] * 100 + [PushStatus.QUEUED] * 50
    stored = await assert_counts_equal_rows(world.realm)
    assert {job.spec.lanes for job in stored.values()} == {("0", "1"), ("1",)}
