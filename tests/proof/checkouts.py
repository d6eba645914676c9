"""Scenarios of callers over HTTP: the service is interrupted in the midst of what they ask."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from jobq.core.checkout import CheckedOut, ack, check_out, extend, nack
from jobq.core.operate import cancel, remove
from jobq.core.realm import Realm
from jobq.errors import JobqError, LeaseLost
from jobq.model.job import Job, JobState, Limits, Reason
from tests.proof.actors import Worker
from tests.proof.scenarios import ENDED_WELL, ONE_SHARD, TWO_TAGS, Scenario
from tests.proof.world import LEASE, new_job


class CheckingOut(Scenario):
    """Three jobs, one of them in two lanes. Who was answered has them; nobody else is given one of those."""

    limits = Limits(crashes=1)
    losses = 1
    """At most, of a job that nobody was told of."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]  # as the scenario's own
        self.held: list[CheckedOut] = []

    async def setup(self) -> None:
        jobs = [
            new_job("b-1", tags=TWO_TAGS, limits=self.limits),
            new_job("b-9", limits=self.limits, lanes=("0", "1")),
            new_job("b-8", limits=self.limits),
        ]
        await self.world.push(*jobs)

    async def act(self, realm: Realm) -> None:
        self.held = await check_out([realm], count=3, lease=LEASE)

    async def follow(self) -> None:
        self.world.clock.move(by=LEASE - timedelta(seconds=1))
        others = await check_out([self.world.process()], count=3, lease=LEASE)
        assert not {one.job.id for one in self.held} & {one.job.id for one in others}
        for one in (*self.held, *others):
            await ack(self.world.process(), one.job.id, one.token)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert len(jobs) == 3
        assert max(job.tries.get(Reason.LOST, 0) for job in jobs.values()) <= self.losses
        for one in self.held:
            assert jobs[one.job.id].attempt == one.job.attempt


class CheckingOutAChunk(CheckingOut):
    async def setup(self) -> None:
        await self.world.push(*(new_job(f"b-{n}", tags=("t",)) for n in ONE_SHARD), chunk=3)


class CheckingOutTheLost(CheckingOut):
    """Their first holders have gone, and their leases have ended."""

    limits = Limits(crashes=2)
    losses = 2

    async def setup(self) -> None:
        await super().setup()
        await check_out([self.world.process()], count=3, lease=LEASE)
        self.world.clock.move(by=LEASE)


class CheckingOutTheUndecodable(CheckingOut):
    async def setup(self) -> None:
        await super().setup()
        await self.world.push(new_job("b-2", command="x" * 50_000))
        await self.world.stack.blobs.delete((await self.world.job("b-2")).payload_blob)

    async def act(self, realm: Realm) -> None:
        self.held = await check_out([realm], count=4, lease=LEASE)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        gone = jobs.pop("b-2")
        assert gone.state in {JobState.FAILED, JobState.SUCCEEDED}  # the worker of the proofs reads no payloads
        super().verify(jobs, healthy)


class WorkingOnTheLost(CheckingOutTheLost):
    """A worker takes over what callers had."""

    async def act(self, realm: Realm) -> None:
        await Worker(self.world, realm).work()


class Holding(Scenario):
    """A caller has `b-1`, in two lanes, with some of its lease left; `b-2` waits."""

    limits = Limits(crashes=1)

    async def setup(self) -> None:
        await self.world.push(new_job("b-1", tags=TWO_TAGS, lanes=("0", "1"), limits=self.limits), new_job("b-2"))
        [self.held] = await check_out([self.world.process()], lease=LEASE)
        assert self.held.job.id == "b-1"
        self.world.clock.move(by=timedelta(minutes=9))


class Acknowledging(Holding):
    async def act(self, realm: Realm) -> None:
        await ack(realm, "b-1", self.held.token, result={"big": "x" * 40_000})

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        if self.is_acknowledged:
            assert (jobs["b-1"].attempt, healthy.started["b-1"]) == (1, 0)


class AcknowledgingTwice(Acknowledging):
    """Who got no answer asks again."""

    async def follow(self) -> None:
        await ack(self.world.process(), "b-1", self.held.token, result={"big": "x" * 40_000})
        self.is_acknowledged = True


class GivingBack(Holding):
    failed = False

    async def act(self, realm: Realm) -> None:
        await nack(realm, "b-1", self.held.token, failed=self.failed)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert (jobs["b-1"].attempt, healthy.started["b-1"]) == (2, 1)
        assert sum(jobs["b-1"].tries.values()) == 1
        assert not (self.is_acknowledged and Reason.LOST in jobs["b-1"].tries)


class GivingBackTwice(GivingBack):
    async def follow(self) -> None:
        await nack(self.world.process(), "b-1", self.held.token, failed=self.failed)
        self.is_acknowledged = True


class Failing(GivingBack):
    failed = True
    limits = Limits(retries=1, crashes=1)


class FailingForGood(Holding):
    async def act(self, realm: Realm) -> None:
        await nack(realm, "b-1", self.held.token, failed=True)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        allowed = {JobState.FAILED} | (set() if self.is_acknowledged else ENDED_WELL)
        assert jobs["b-1"].state in allowed
        assert jobs["b-2"].state in ENDED_WELL


class Extending(Holding):
    """Whether or not its holder was told, the job comes back when nobody says anything any more."""

    async def act(self, realm: Realm) -> None:
        await extend(realm, "b-1", self.held.token, lease=LEASE)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert (jobs["b-1"].tries, healthy.started["b-1"]) == ({Reason.LOST: 1}, 1)


class ExtendingAndDone(Holding):
    """Who was told has the job for as long as that."""

    async def act(self, realm: Realm) -> None:
        await extend(realm, "b-1", self.held.token, lease=LEASE)

    async def follow(self) -> None:
        if self.is_acknowledged:
            self.world.clock.move(by=LEASE - timedelta(seconds=1))
            others = await check_out([self.world.process()], count=3, lease=LEASE)
            assert [one.job.id for one in others] == ["b-2"]
            await ack(self.world.process(), "b-2", others[0].token)
        await ack(self.world.process(), "b-1", self.held.token)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert (jobs["b-1"].attempt, healthy.started["b-1"]) == (1, 0)


class RemovingTheHeld(Holding):
    async def act(self, realm: Realm) -> None:
        await remove(realm, "b-1")

    async def follow(self) -> None:
        if self.is_acknowledged:
            with pytest.raises(LeaseLost):
                await ack(self.world.process(), "b-1", self.held.token)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        super().verify(jobs, healthy)
        assert not (self.is_acknowledged and "b-1" in jobs)


class CancellingTheHeld(Holding):
    async def act(self, realm: Realm) -> None:
        await cancel(realm, "b-1")

    async def follow(self) -> None:
        with suppress(JobqError):
            await extend(self.world.process(), "b-1", self.held.token, lease=LEASE)

    def verify(self, jobs: dict[str, Job], healthy: Worker) -> None:
        allowed = {JobState.CANCELLED} | (set() if self.is_acknowledged else ENDED_WELL)
        assert jobs["b-1"].state in allowed
