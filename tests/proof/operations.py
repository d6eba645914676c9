"""Scenarios of what people and the sweeper do; and the list of all scenarios."""

from __future__ import annotations

from datetime import timedelta

from jobq.core.operate import cancel, leave_lane, remove, retry
from jobq.core.realm import Realm
from jobq.core.sweep import FOLD_AFTER, repair_orphans, sweep
from jobq.core.workers import WorkerRow
from jobq.model.job import Job, JobState, Limits
from tests.proof import checkouts
from tests.proof.actors import FAILED, Worker, always
from tests.proof.scenarios import ENDED_WELL, TWO_TAGS, Scenario, dead_push
from tests.proof.world import new_job


class Operating(Scenario):
    """On one job, `b-1`, in two lanes and with two tags."""

    limits = Limits(retries=1, crashes=1)

    async def setup(self) -> None:
        await self.world.push(new_job("b-1", tags=TWO_TAGS, lanes=("0", "1"), limits=self.limits), new_job("b-2"))


class CancellingQueued(Operating):
    async def act(self, realm: Realm) -> None:
        await cancel(realm, "b-1")

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        allowed = {JobState.CANCELLED} | (set() if self.is_acknowledged else ENDED_WELL)
        assert jobs["b-1"].state in allowed
        assert not (self.is_acknowledged and healthy.started["b-1"])


class CancellingRunning(CancellingQueued):
    async def setup(self) -> None:
        await super().setup()
        self.holder, self.held = await self.hold()
        row = WorkerRow(self.holder.realm, "holder", 1)
        await row.beat(self.held.jobs, believe=timedelta(minutes=10))

    async def follow(self) -> None:
        self.holder.outcome = always(FAILED)
        await self.holder.run(self.held)


class CancellingLost(CancellingRunning):
    async def follow(self) -> None:
        """The worker dies."""


class RemovingQueued(Operating):
    async def act(self, realm: Realm) -> None:
        await remove(realm, "b-1")

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert not (self.is_acknowledged and "b-1" in jobs)
        super().verify(jobs, healthy)


class RemovingRunning(RemovingQueued):
    async def setup(self) -> None:
        await super().setup()
        self.holder, self.held = await self.hold()

    async def follow(self) -> None:
        await self.holder.run(self.held)


class RemovingFailed(RemovingQueued):
    limits = Limits()

    async def setup(self) -> None:
        await super().setup()
        await Worker(self.world, self.world.realm, always(FAILED)).work(limit=1)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert not (self.is_acknowledged and "b-1" in jobs)


class RemovingAndPushingAgain(RemovingQueued):
    async def follow(self) -> None:
        await self.world.push(new_job("b-1", tags=("again",)))

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert jobs["b-1"].state is JobState.SUCCEEDED
        assert healthy.started["b-1"] == 1


class Retrying(RemovingFailed):
    async def act(self, realm: Realm) -> None:
        await retry(realm, "b-1")

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        allowed = ENDED_WELL | (set() if self.is_acknowledged else {JobState.FAILED})
        assert jobs["b-1"].state in allowed
        assert healthy.started["b-1"] <= 1


class RetryingCancelled(Retrying):
    async def setup(self) -> None:
        await Operating.setup(self)
        await cancel(self.world.realm, "b-1")

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert jobs["b-1"].state in ENDED_WELL | (set() if self.is_acknowledged else {JobState.CANCELLED})


class ClearingALane(Operating):
    """`b-1` stays in lane 1, with a valid ticket there."""

    async def act(self, realm: Realm) -> None:
        await leave_lane(realm, "b-1", "0")
        await leave_lane(realm, "b-2", "0")

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert "b-1" in jobs
        assert healthy.started["b-1"] == 1
        if self.is_acknowledged:
            assert jobs["b-1"].spec.lanes == ("1",)
            assert "b-2" not in jobs


class Sweeping(Scenario):
    """There are outbox rows of a push that died, old counters, and the row of a worker long dead."""

    async def setup(self) -> None:
        await self.world.push(new_job("b-1", tags=TWO_TAGS), new_job("b-2"))
        await Worker(self.world, self.world.process(), always(FAILED)).work(limit=1)
        await WorkerRow(self.world.realm, "gone", 1).beat([], believe=timedelta(minutes=1))
        self.world.clock.move(by=FOLD_AFTER * 5)
        await dead_push(self.world, new_job("b-3"), new_job("b-4", lanes=("1",)))
        self.world.clock.move(by=timedelta(minutes=1))

    async def act(self, realm: Realm) -> None:
        await sweep(realm)

    async def follow(self) -> None:
        await cancel(self.world.realm, "b-2")  # its counters were folded meanwhile, or not

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        assert [jobs[f"b-{n}"].state.value for n in range(1, 5)] == ["failed", "cancelled", "succeeded", "succeeded"]


class Repairing(Scenario):
    """The queue has lost its messages: of a queued job, and of a running one whose worker has died."""

    async def setup(self) -> None:
        await self.world.push(new_job("b-1"), new_job("b-2", lanes=("0", "1")))
        _, held = await self.hold()
        await held.lease.queue.complete(held.lease.delivery)
        for lane in self.lanes:
            for delivery in await self.world.queue(lane).receive(8, lease=timedelta(minutes=1)):
                await self.world.queue(lane).complete(delivery)

    async def act(self, realm: Realm) -> None:
        await repair_orphans(realm)

    async def follow(self) -> None:
        await repair_orphans(self.world.realm)


_ABSTRACT = {Operating, checkouts.Holding}


def _all_below(kind: type[Scenario]) -> list[type[Scenario]]:
    return [one for below in kind.__subclasses__() for one in (below, *_all_below(below))]


# Other tests make scenarios of their own, which must not come in by chance.
_OURS = (Scenario.__module__, checkouts.__name__, __name__)
SCENARIOS = sorted(
    (kind for kind in set(_all_below(Scenario)) - _ABSTRACT if kind.__module__ in _OURS), key=lambda kind: kind.__name__
)
