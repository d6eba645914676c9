"""What people do to jobs: cancel, remove, retry, clear a lane; and what a worker's row has to do with it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobq.core.api import RealmApi
from jobq.core.logs import log_key
from jobq.core.operate import cancel, change, leave_lane, preempt, preempt_worker, remove, retry
from jobq.core.outbox import PATIENCE, repair_all
from jobq.core.ports import Row
from jobq.core.workers import Asked, WorkerRow, live_workers, tell
from jobq.errors import IllegalTransition, NotFound, Unreachable
from jobq.model.job import Job, JobState, Limits, Reason
from tests.proof.actors import FAILED, Worker, always
from tests.proof.faults import Fault, FaultyStack
from tests.proof.scenarios import Scenario
from tests.proof.world import LEASE, World, assert_counts_equal_rows, jobs_in, new_job, outbox_rows

BELIEVE = timedelta(minutes=10)


class Running(Scenario):
    """One job, claimed by a worker that has said so."""

    async def begin(self, **options: object) -> WorkerRow:
        await self.world.push(new_job("b-1", tags=("t",), **options))  # type: ignore[arg-type]  # options of a job
        self.holder, self.held = await self.hold()
        row = WorkerRow(self.holder.realm, "holder", 1)
        await row.beat(self.held.jobs, believe=BELIEVE)
        return row


async def failed_job(world: World, **options: object) -> Job:
    await world.push(new_job("b-1", tags=("t",), **options))  # type: ignore[arg-type]  # options of a job
    await Worker(world, world.realm, always(FAILED)).work()
    return await world.job("b-1")


async def test_cancel_ends_a_queued_job_and_its_ticket_is_dropped() -> None:
    world = World()
    await world.push_one()

    job = await cancel(world.realm, "b-1", message="not needed")

    assert (job.state, job.reason, job.message) == (JobState.CANCELLED, Reason.CANCELLED, "not needed")
    worker = Worker(world, world.realm)
    assert await worker.work() == 1
    assert not worker.started
    await assert_counts_equal_rows(world.realm)


async def test_cancel_of_a_cancelled_job_leaves_it() -> None:
    world = World()
    await world.push_one()
    first = await cancel(world.realm, "b-1")
    assert await cancel(world.realm, "b-1") == first


async def test_cancel_of_an_ended_job_is_refused() -> None:
    world = World()
    await failed_job(world)
    with pytest.raises(IllegalTransition, match="is failed"):
        await cancel(world.realm, "b-1")


async def test_cancel_of_a_running_job_is_noticed_by_the_next_heartbeat() -> None:
    running = Running()
    row = await running.begin()

    job = await cancel(running.world.realm, "b-1")

    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    assert await row.beat(running.held.jobs, believe=BELIEVE) == Asked(cancel=("b-1",))
    assert await row.beat(running.held.jobs, believe=BELIEVE) == Asked()


async def test_preemption_of_a_running_job_is_noticed_by_the_next_heartbeat() -> None:
    running = Running()
    row = await running.begin()
    await cancel(running.world.realm, "b-1")

    job = await preempt(running.world.realm, "b-1")
    await preempt_worker(running.world.realm, job.worker)

    assert job.state is JobState.RUNNING
    asked = await row.beat(running.held.jobs, believe=BELIEVE)
    assert asked == Asked(cancel=("b-1",), preempt=("*", "b-1"))
    assert await row.beat(running.held.jobs, believe=BELIEVE) == Asked()


async def test_what_does_not_run_cannot_be_preempted() -> None:
    world = World()
    await world.push_one()

    with pytest.raises(IllegalTransition, match="is queued; only running jobs"):
        await preempt(world.realm, "b-1")
    with pytest.raises(NotFound, match="there is no job x"):
        await preempt(world.realm, "x")
    with pytest.raises(NotFound, match="there is no worker w"):
        await preempt_worker(world.realm, "w")


async def test_job_of_a_worker_that_is_gone_cannot_be_preempted() -> None:
    running = Running()
    row = await running.begin()
    await row.leave()

    with pytest.raises(NotFound, match=r"worker \S+ of job b-1 is gone"):
        await preempt(running.world.realm, "b-1")


async def test_command_is_not_lost_with_the_reply_of_the_heartbeat_that_read_it() -> None:
    world = World()
    stack = FaultyStack(world.stack)
    row = WorkerRow(world.process(stack), "w", 1)
    await row.beat([], believe=BELIEVE)
    await tell(world.realm, "w", cancel="b-1")
    trouble = LateTrouble(stack)

    with pytest.raises(Unreachable):
        await row.beat([], believe=BELIEVE)  # reads the command and clears it; of that it gets no reply

    assert trouble.is_over
    assert await row.beat([], believe=BELIEVE) == Asked(cancel=("b-1",))


class LateTrouble:
    """The second commit's reply is lost, and the read that follows gets none either."""

    def __init__(self, stack: FaultyStack) -> None:
        self.stack = stack
        self.stack.break_next(Fault.REPLY_LOST, skip=2)
        self.get, stack.table.get = stack.table.get, self.get_with_trouble  # type: ignore[method-assign]  # for a test
        self.is_over = False

    async def get_with_trouble(self, partition: str, key: str) -> Row | None:
        if len(self.stack.calls) > 3 and not self.is_over:
            self.is_over = True
            raise Unreachable("no answer")
        return await self.get(partition, key)


async def test_worker_row_counts_until_it_expires_and_goes_when_it_leaves() -> None:
    running = Running()
    row = await running.begin()
    [view] = await live_workers(running.world.realm)
    assert (view.id, view.slots, view.running) == ("holder", 1, ("b-1",))

    running.world.clock.move(by=BELIEVE)
    assert await live_workers(running.world.realm) == []
    await row.beat([], believe=BELIEVE)
    await row.leave()
    assert await live_workers(running.world.realm) == []


async def test_remove_deletes_a_job_with_everything_that_is_kept_of_it() -> None:
    world = World()
    await failed_job(world, command="x" * 50_000)
    await world.stack.blobs.put(log_key(world.realm.name, "b-1", 1), b"output")

    assert await remove(world.realm, "b-1") is None

    assert await assert_counts_equal_rows(world.realm) == {}
    assert await world.stack.blobs.list("") == []
    with pytest.raises(NotFound):
        await remove(world.realm, "b-1")


async def test_remove_of_a_running_job_is_a_request() -> None:
    running = Running()
    await running.begin()

    job = await remove(running.world.realm, "b-1")

    assert job is not None
    assert (job.state, job.remove_requested) == (JobState.RUNNING, True)
    await running.holder.run(running.held)
    assert await jobs_in(running.world.realm) == {}


async def test_job_removed_and_pushed_again_runs_once_though_it_has_two_tickets() -> None:
    world = World()
    await world.push_one()
    await remove(world.realm, "b-1")
    await world.push_one()

    worker = Worker(world, world.realm)
    assert await worker.work() == 2
    assert worker.started == {"b-1": 1}


async def test_retry_forgets_the_failures_and_counts_the_attempts_on() -> None:
    world = World()
    before = await failed_job(world)

    job = await retry(world.realm, "b-1")

    assert (job.state, job.tries, job.reason, job.exit_code, job.tail) == (JobState.QUEUED, {}, None, None, "")
    assert (job.attempt, job.generation) == (1, before.generation + 1)
    assert await outbox_rows(world.realm) == 0
    await assert_counts_equal_rows(world.realm)
    await Worker(world, world.realm).work()
    assert (await world.job("b-1")).attempt == 2


@pytest.mark.parametrize("act", [cancel, remove, retry])
async def test_unknown_job_is_not_found(act: object) -> None:
    with pytest.raises(NotFound, match="there is no job nobody in memory:/proof"):
        await act(World().realm, "nobody")  # type: ignore[operator]  # one of the three


async def test_retry_of_a_queued_job_is_refused() -> None:
    world = World()
    await world.push_one()
    with pytest.raises(IllegalTransition, match="only failed or cancelled"):
        await retry(world.realm, "b-1")


async def test_operation_whose_commit_reply_was_lost_is_acknowledged_once() -> None:
    world = World()
    before = await failed_job(world)
    stack = FaultyStack(world.stack)
    realm = world.process(stack)
    await realm.open_lanes(["0"])
    stack.break_next(Fault.REPLY_LOST, skip=1)

    job = await retry(realm, "b-1")

    assert job.generation == before.generation + 1
    assert await outbox_rows(world.realm) == 1
    world.clock.move(by=PATIENCE)
    await repair_all(world.realm)
    assert await Worker(world, world.realm).work() == 1


async def test_retry_that_a_worker_was_quick_to_claim_is_no_error() -> None:
    """The reply of the send was lost, and the ticket was there."""
    world = World()
    await failed_job(world)
    stack = QuickWorker(world)

    job = await retry(world.process(stack), "b-1")

    assert job.state is JobState.QUEUED
    assert await world.state("b-1") is JobState.SUCCEEDED


class QuickWorker(FaultyStack):
    """The reply of each send is lost, and by then a worker has run the job."""

    def __init__(self, world: World) -> None:
        super().__init__(world.stack)
        self.world = world

    async def write(self, name: str, call: object, **options: object) -> object:  # type: ignore[override]  # wider
        answer = await super().write(name, call, **options)  # type: ignore[arg-type]  # as it came
        if name == "queue.send":
            await Worker(self.world, self.world.process()).work()
            raise Unreachable("the reply was lost")
        return answer


async def test_change_is_decided_anew_when_somebody_was_faster() -> None:
    world = World()
    await world.push_one()
    seen: list[JobState] = []

    def decide(job: Job) -> Job:
        seen.append(job.state)
        return job.moved_to(JobState.CANCELLED)

    realm = world.process(Overtaken(world))
    job = await change(realm, "b-1", decide)

    assert job is not None
    assert seen == [JobState.QUEUED, JobState.RUNNING]
    assert job.state is JobState.CANCELLED


class Overtaken(FaultyStack):
    """Before its first commit a worker claims the job."""

    def __init__(self, world: World) -> None:
        super().__init__(world.stack)
        self.world = world
        self.is_first = True

    async def write(self, name: str, call: object, **options: object) -> object:  # type: ignore[override]  # wider
        if self.is_first:
            self.is_first = False
            [delivery] = await self.world.queue().receive(1, lease=LEASE)
            await Worker(self.world, self.world.process()).take("0", delivery)
        return await super().write(name, call, **options)  # type: ignore[arg-type]  # as it came


async def test_job_that_leaves_a_lane_has_a_valid_ticket_in_the_others() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("0", "1", "x")))

    job = await leave_lane(world.realm, "b-1", "0")

    assert job is not None
    assert job.spec.lanes == ("1", "x")
    worker = Worker(world, world.realm)
    await worker.work("0")
    assert not worker.started
    await worker.work("1")
    assert worker.started == {"b-1": 1}
    await assert_counts_equal_rows(world.realm)


async def test_job_that_leaves_its_only_lane_is_removed() -> None:
    world = World()
    await world.push(new_job("b-1", command="x" * 50_000))

    assert await leave_lane(world.realm, "b-1", "0") is None

    assert await jobs_in(world.realm) == {}
    assert await world.stack.blobs.list("") == []


async def test_running_job_does_not_leave_its_lane() -> None:
    running = Running()
    await running.begin()
    with pytest.raises(IllegalTransition, match="only queued"):
        await leave_lane(running.world.realm, "b-1", "0")


async def test_clear_of_a_lane_keeps_jobs_that_are_in_another_one_too() -> None:
    world = World()
    await world.push(new_job("b-1"), new_job("b-2", lanes=("0", "1")), new_job("b-3", lanes=("1",)))

    answer = await RealmApi(world.realm).clear("0")

    assert (answer["matched"], answer["changed"], answer["refused"]) == (2, 2, [])
    jobs = await assert_counts_equal_rows(world.realm)
    assert {job_id: job.spec.lanes for job_id, job in jobs.items()} == {"b-2": ("1",), "b-3": ("1",)}


async def test_limits_start_anew_after_a_retry() -> None:
    world = World()
    await failed_job(world, limits=Limits(retries=1))
    world.clock.move(by=LEASE)
    worker = Worker(world, world.realm, always(FAILED))
    await worker.work()
    await retry(world.realm, "b-1")
    for _ in range(3):
        await worker.work()
        world.clock.move(by=LEASE)

    job = await world.job("b-1")
    assert (job.attempt, job.tries) == (4, {Reason.EXIT: 2})
