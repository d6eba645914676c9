"""What may be interrupted: each operation with what is there before it, what follows it, and what must be true at rest.

`act` is the operation whose port calls fail one by one. Afterwards healthy actors go on until nothing is left to do.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from jobq.adapters.local import MemoryStack
from jobq.core.claim import Held
from jobq.core.operate import cancel, remove
from jobq.core.ports import Stack
from jobq.core.push import Push
from jobq.core.realm import Realm
from jobq.model.job import IfExists, Job, JobState, Limits, NewJob
from jobq.model.names import shard_of
from tests.proof.actors import FAILED, OK, PREEMPTED, Worker, always
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.ledger import Ledger
from tests.proof.world import REALM, World, new_job

TWO_TAGS = ("exp 7", "ü~/")
ENDED_WELL = {JobState.SUCCEEDED}


class Scenario:
    """One run of it: a world of its own."""

    lanes: tuple[str, ...] = ("0", "1")

    def __init__(self, stack: Stack | None = None, *, name: str = REALM) -> None:
        self.world = World(name=name)
        self.ledger = Ledger(stack or MemoryStack(self.world.clock.seconds))
        self.world.stack = self.ledger
        self.world.realm = self.world.process()
        self.is_acknowledged = False

    async def setup(self) -> None:
        """What is there before."""

    async def act(self, realm: Realm) -> None:
        """The operation, on the stack that breaks."""
        raise NotImplementedError

    async def follow(self) -> None:
        """What other actors do right after it."""

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        """What must be true at rest. All jobs have ended, and counts equal rows: that is checked for every scenario."""
        assert {job.state for job in jobs.values()} <= ENDED_WELL

    async def hold(self, lane: str = "0") -> tuple[Worker, Held]:
        """A healthy worker that has claimed the first ticket."""
        worker = Worker(self.world, self.world.process(), name="holder")
        (delivery,) = await self.world.queue(lane).receive(1, lease=timedelta(minutes=10))
        held = await worker.take(lane, delivery)
        assert held is not None
        return worker, held


MIXED = [
    new_job("b-000001", tags=TWO_TAGS),
    new_job("b-000002", lanes=("1",)),
    new_job("b-000003", lanes=("0", "1"), tags=("exp 7",)),
    new_job("own id/é", tags=("other",)),
    new_job("b-000004", command="x" * 31_000),
    new_job("b-000005"),
    new_job("b-000006"),
    new_job("b-000012"),
    new_job("b-000013"),
]


class Pushing(Scenario):
    chunk = 1
    jobs: tuple[NewJob, ...] = tuple(MIXED)

    async def act(self, realm: Realm) -> None:
        await Push(realm, "b", chunk=self.chunk).run(self.jobs)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        if self.is_acknowledged:
            assert jobs.keys() == {job.id for job in self.jobs}
        assert set(healthy.started.values()) <= {1}


class PushingChunks(Pushing):
    chunk = 3


class PushingTwice(Pushing):
    """The client repeats a push whose answer it did not get, under the same name."""

    async def act(self, realm: Realm) -> None:
        await Push(realm, "b", token="same").run(self.jobs[:4])

    async def follow(self) -> None:
        answers = await Push(self.world.process(), "b", token="same").run(self.jobs[:4])
        assert [answer.status.value for answer in answers] == ["queued"] * 4

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert jobs.keys() == {job.id for job in self.jobs[:4]}
        assert healthy.started == {job.id: 1 for job in self.jobs[:4]}


class Replacing(Scenario):
    """Over a failed, a cancelled, a queued and a finished job."""

    if_exists = IfExists.REPLACE
    ids = ("b-1", "b-2", "b-3", "b-4")

    async def setup(self) -> None:
        await self.world.push(*(new_job(job_id, tags=("old",)) for job_id in self.ids))
        await Worker(self.world, self.world.realm, always(FAILED)).work(limit=1)
        await cancel(self.world.realm, "b-2")
        await Worker(self.world, self.world.realm).work(limit=2)

    async def act(self, realm: Realm) -> None:
        jobs = [new_job(job_id, tags=("new",), lanes=("1",)) for job_id in self.ids]
        await Push(realm, "b", self.if_exists).run(jobs)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert {job.state for job in jobs.values()} <= {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
        if self.is_acknowledged:
            super().verify(jobs, healthy)


class RerunningFailed(Replacing):
    if_exists = IfExists.RERUN_FAILED


class Working(Scenario):
    """Three jobs with a ticket each, one of them in two lanes."""

    outcome = OK
    retries = 1
    crashes = 1
    renews = False
    chunk = 1
    starts = 1000
    may_end = ENDED_WELL

    async def setup(self) -> None:
        limits = Limits(retries=self.retries, crashes=self.crashes)
        jobs = [
            new_job("b-1", tags=TWO_TAGS, limits=limits),
            new_job("b-9", limits=limits, lanes=("0", "1")),
            new_job("b-8", limits=limits),
        ]
        await self.world.push(*jobs, chunk=self.chunk)

    async def act(self, realm: Realm) -> None:
        worker = Worker(self.world, realm, always(self.outcome), starts_at_most=self.starts, renews=self.renews)
        await worker.work()

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert len(jobs) == 3
        assert {job.state for job in jobs.values()} <= self.may_end
        assert max(self.ledger.runs.values()) <= 1 + self.retries + self.crashes + (self.chunk > 1)


class WorkingWithRenewal(Working):
    renews = True


class WorkingOnFailures(Working):
    outcome = FAILED


class WorkingOnLastFailures(Working):
    outcome = FAILED
    retries = 0
    may_end = frozenset({JobState.FAILED, JobState.SUCCEEDED})


class WorkingOnPreemptions(Working):
    outcome = PREEMPTED


class WorkingOnAChunk(Working):
    chunk = 3

    async def setup(self) -> None:
        limits = Limits(retries=self.retries, crashes=self.crashes)
        await self.world.push(*(new_job(f"b-{n}", limits=limits, tags=("t",)) for n in ONE_SHARD), chunk=3)


class WorkingOnAChunkOfFailures(WorkingOnAChunk):
    outcome = FAILED


class GivingBackATail(WorkingOnAChunk):
    starts = 1


class GivingBackASingle(Working):
    starts = 0


class GivingBackACancelledTail(GivingBackATail):
    """A job of the tail is cancelled after the claim: its row has another etag than the worker knows."""

    may_end = frozenset({JobState.SUCCEEDED, JobState.CANCELLED})

    async def act(self, realm: Realm) -> None:
        worker = Worker(self.world, realm, starts_at_most=1)
        (delivery,) = await realm.queue("0").receive(1, lease=timedelta(minutes=10))
        held = await worker.take("0", delivery)
        assert held is not None
        await cancel(self.world.process(), held.jobs[1].id)
        await worker.run(held)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        if self.is_acknowledged:
            assert sorted(job.state for job in jobs.values()) == ["cancelled", "succeeded", "succeeded"]


class WorkingAfterALoss(Working):
    """Its first worker has died, and its lease has run out."""

    crashes = 2

    async def setup(self) -> None:
        await super().setup()
        await self.hold()
        self.world.clock.move(by=timedelta(minutes=11))


class WorkingAfterTheLastLoss(Working):
    """The next loss is one too many."""

    may_end = frozenset({JobState.FAILED, JobState.SUCCEEDED})

    async def setup(self) -> None:
        await super().setup()
        for _ in range(2):
            await self.hold()
            self.world.clock.move(by=timedelta(minutes=11))


class WorkingOnALostChunk(WorkingOnAChunk):
    async def setup(self) -> None:
        await super().setup()
        await self.hold()
        self.world.clock.move(by=timedelta(minutes=11))


class WorkingOnALostAndCancelledJob(Scenario):
    """The take-over of a job whose cancel was asked ends it."""

    async def setup(self) -> None:
        await self.world.push(new_job("b-1", tags=TWO_TAGS), new_job("b-2"))
        for job_id, ask in (("b-1", cancel), ("b-2", remove)):
            await self.hold()
            await ask(self.world.realm, job_id)
        self.world.clock.move(by=timedelta(minutes=11))

    async def act(self, realm: Realm) -> None:
        await Worker(self.world, realm).work()

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert [(job.id, job.state) for job in jobs.values()] == [("b-1", JobState.CANCELLED)]
        assert not healthy.started


class WorkingOnDuplicates(Working):
    async def setup(self) -> None:
        await super().setup()
        await sweep_outbox_of_a_second_push(self)

    async def act(self, realm: Realm) -> None:
        worker = Worker(self.world, realm, always(self.outcome))
        await worker.work(limit=4)
        await worker.work(limit=4)


async def sweep_outbox_of_a_second_push(scenario: Scenario) -> None:
    """Every ticket once more."""
    queue = scenario.world.queue()
    deliveries = await queue.receive(8, lease=timedelta(seconds=1))
    await queue.send([delivery.body for delivery in deliveries])
    scenario.world.clock.move(by=timedelta(seconds=2))


class KeepingTheUndecodable(Scenario):
    async def setup(self) -> None:
        await self.world.queue().send([b"not a ticket"])
        for _ in range(2):
            await Worker(self.world, self.world.realm).work()
            self.world.clock.move(by=timedelta(minutes=1))

    async def act(self, realm: Realm) -> None:
        await Worker(self.world, realm).work()

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert [job.state for job in jobs.values()] == [JobState.FAILED]


async def dead_push(world: World, *jobs: NewJob, chunk: int = 1) -> None:
    """A push that dies before it sends a ticket."""
    stack = FaultyStack(world.stack)
    stack.break_at("queue.send", Fault.KILLED_BEFORE)
    with suppress(Killed):
        await Push(world.process(stack), "b", chunk=chunk).run(jobs)
    assert stack.calls[-1] == "queue.send"


def find_one_shard() -> tuple[int, ...]:
    """Numbers of three jobs `b-N` that share a shard, so that a chunk holds them."""
    wanted = shard_of("b-1")
    return tuple(n for n in range(1, 60) if shard_of(f"b-{n}") == wanted)[:3]


ONE_SHARD = find_one_shard()
