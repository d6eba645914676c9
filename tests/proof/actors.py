"""A worker of a few lines on the core, run by a script in place of processes; and what goes on after a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from jobq.core.claim import Held, claim
from jobq.core.finish import finish, give_back, settle
from jobq.core.lease import TicketLease
from jobq.core.ports import Delivery
from jobq.core.realm import Realm
from jobq.core.sweep import sweep
from jobq.errors import JobqError
from jobq.model.job import Job, Outcome, Reason
from tests.proof.world import LEASE, World, outbox_rows

OK = Outcome(exit_code=0, tail="fine")
FAILED = Outcome(Reason.EXIT, exit_code=1, tail="not so fine")
PREEMPTED = Outcome(Reason.PREEMPTED, message="the machine went")


def succeed(job: Job) -> Outcome:
    return OK


def always(outcome: Outcome) -> Callable[[Job], Outcome]:
    return lambda job: outcome


@dataclass
class Worker:
    """One process with one slot. What it cannot record it leaves, as a worker does whose backend is in trouble."""

    world: World
    realm: Realm
    outcome: Callable[[Job], Outcome] = succeed
    name: str = "w"
    starts_at_most: int = 1000
    """Jobs of a ticket that it starts; it gives back the others."""
    renews: bool = False
    lease: timedelta = LEASE
    started: Counter[str] = field(default_factory=Counter)

    async def work(self, lane: str = "0", *, limit: int = 8) -> int:
        """Receive once and run what came; how many tickets there were."""
        deliveries = await self.realm.queue(lane).receive(limit, lease=self.lease)
        for delivery in deliveries:
            held = await self.take(lane, delivery)
            if held is not None:
                await self.run(held)
        return len(deliveries)

    async def take(self, lane: str, delivery: Delivery) -> Held | None:
        clock = self.world.clock.seconds
        lease = TicketLease(self.realm.queue(lane), delivery, self.lease, received_at=clock(), monotonic=clock)
        return await claim(self.realm, lane, lease, worker=self.name)

    async def run(self, held: Held) -> None:
        now, later = held.jobs[: self.starts_at_most], held.jobs[self.starts_at_most :]
        if later:
            await give_back(self.realm, held, later)
        for job in now:
            self.started[job.id] += 1
            if self.renews:
                await held.lease.renew()
            await finish(self.realm, held, job, self.outcome(job))
        await settle(held)


async def go_on(world: World, *, lanes: tuple[str, ...] = ("0", "1"), sweeps: bool = True) -> Worker:
    """A healthy worker and the sweeper go on, leases and delays over, until nothing is left to do."""
    worker = Worker(world, world.process(), name="healthy")
    for _ in range(12):
        world.clock.move(by=LEASE + timedelta(minutes=6))
        if sweeps:
            await sweep(worker.realm)
        received = sum([await worker.work(lane, limit=32) for lane in lanes])
        left = sum([(await world.queue(lane).look(0)).messages for lane in lanes])
        if not received and not left and (not sweeps or not await outbox_rows(world.realm)):
            return worker
    raise AssertionError("the realm does not come to rest")


async def attempt(worker: Worker, lane: str = "0") -> None:
    """One round of a worker that may meet a fault."""
    try:
        await worker.work(lane)
    except JobqError:
        return
