"""Pushers, workers, operators and sweepers in any order, with faults, against a plain model of what may be true."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobq.adapters.local import MemoryStack
from jobq.core.checkout import ack, check_out, extend, nack
from jobq.core.claim import Held, claim
from jobq.core.finish import finish, give_back, settle
from jobq.core.lease import TicketLease
from jobq.core.operate import cancel, leave_lane, move_lane, remove, retry
from jobq.core.ports import Delivery
from jobq.core.push import Push
from jobq.core.realm import Realm
from jobq.core.sweep import sweep
from jobq.errors import JobqError
from jobq.model.job import IfExists, Job, Limits, Outcome, PushStatus, Reason
from jobq.model.ticket import decode_ticket
from tests.proof.actors import FAILED, OK, PREEMPTED, Worker, go_on
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.ledger import Ledger
from tests.proof.scenarios import ONE_SHARD
from tests.proof.world import LEASE, World, assert_counts_equal_rows, new_job, outbox_rows

IDS = [*(f"b-{number}" for number in ONE_SHARD[:2]), "own/1"]
LIMITS = Limits(retries=1, crashes=2, preemptions=3)
LANES = [("0",), ("0",), ("0", "1")]
HARMLESS = [Fault.REFUSED, Fault.REPLY_LOST, Fault.REQUEST_LOST, Fault.LATE]

ids = st.sampled_from(IDS)
breaks = st.none() | st.tuples(st.sampled_from(list(Fault)), st.integers(1, 12))
hiccups = st.none() | st.tuples(st.sampled_from(HARMLESS), st.integers(1, 6))
Break = tuple[Fault, int] | None


@dataclass
class Holding:
    """A ticket in the hands of a worker, and what it has not recorded."""

    worker: Worker
    held: Held
    left: list[Job]
    is_expired: bool = False


@dataclass
class Caller:
    """Who has a job checked out, until the time (in seconds) that it was told."""

    job_id: str
    token: str
    until: float
    is_expired: bool = False


@dataclass
class Known:
    """What may be said of a job without looking at its row."""

    must_exist: bool = False
    must_not_start: bool = False
    """Its cancel was acknowledged."""
    losses: int = 0
    """How often a worker may have been lost with it."""


@dataclass
class Told:
    jobs: dict[str, Known] = field(default_factory=dict)

    def of(self, job_id: str) -> Known:
        return self.jobs.setdefault(job_id, Known())


class Jobs(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.world = World()
        self.ledger = Ledger(MemoryStack(self.world.clock.seconds))
        self.world.stack = self.ledger
        self.world.realm = self.world.process()
        self.processes = [self.world.process() for _ in range(2)]
        self.holdings: list[Holding] = []
        self.callers: list[Caller] = []
        self.received: list[tuple[Worker, str, Delivery]] = []
        self.received_at: dict[tuple[str, int], float] = {}
        self.bodies: list[tuple[str, bytes]] = []
        self.late: list[FaultyStack] = []
        self.told = Told()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def attempt(self, broken: Break, act: Callable[[Realm], Awaitable[Any]], *, process: int = 0) -> tuple[bool, Any]:
        """Whether the operation was acknowledged, and its answer; on a stack of its own where something breaks."""
        realm = self.processes[process]
        if broken is not None:
            stack = FaultyStack(self.ledger, *broken)
            self.late.append(stack)
            realm = self.world.process(stack)

        async def go() -> tuple[bool, Any]:
            try:
                return True, await act(realm)
            except (JobqError, Killed):
                return False, None

        return self.run(go())  # type: ignore[no-any-return]  # what `go` gives

    # ---- pushers

    @rule(
        some=st.lists(ids, min_size=1, max_size=4, unique=True),
        if_exists=st.sampled_from(IfExists),
        chunk=st.sampled_from([1, 3]),
        lanes=st.sampled_from(LANES),
        tags=st.sampled_from([(), ("t",), ("t", "ü")]),
        broken=breaks,
        process=st.integers(0, 1),
    )
    def push(
        self,
        some: list[str],
        if_exists: IfExists,
        chunk: int,
        lanes: tuple[str, ...],
        tags: tuple[str, ...],
        broken: Break,
        process: int,
    ) -> None:
        jobs = [new_job(job_id, tags=tags, lanes=lanes, limits=LIMITS) for job_id in some]
        done, answers = self.attempt(
            broken, lambda realm: Push(realm, "b", if_exists, chunk).run(jobs), process=process
        )
        for job_id in some:
            self.told.of(job_id).must_not_start = False
        for answer in answers if done else ():
            if answer.status is PushStatus.QUEUED:
                self.told.of(answer.id).must_exist = True

    # ---- workers

    @rule(lane=st.sampled_from(["0", "0", "1"]), process=st.integers(0, 1))
    def receive(self, lane: str, process: int) -> None:
        worker = Worker(self.world, self.processes[process], name=f"w{process}")
        for delivery in self.run(worker.realm.queue(lane).receive(1, lease=LEASE)):
            self.bodies.append((lane, delivery.body))
            self.received.append((worker, lane, delivery))
            self.received_at[delivery.message_id, delivery.number] = self.world.clock.seconds()

    @precondition(lambda self: self.received)
    @rule(which=st.integers(0, 9))
    def be_overtaken(self, which: int) -> None:
        """Between receipt and claim a worker is so slow that another one receives the ticket and claims."""
        slow = self.received[which % len(self.received)]
        self.move_the_clock(LEASE + timedelta(seconds=1))
        count = len(self.received)
        self.receive(slow[1], 1)
        if len(self.received) > count:
            self.claim(count, None)

    @precondition(lambda self: self.received)
    @rule(which=st.integers(0, 9), broken=st.none() | st.tuples(st.sampled_from(HARMLESS), st.integers(1, 2)))
    def claim(self, which: int, broken: Break) -> None:
        worker, lane, delivery = self.received.pop(which % len(self.received))
        received_at = self.received_at[delivery.message_id, delivery.number]
        lease = TicketLease(worker.realm.queue(lane), delivery, LEASE, received_at, self.world.clock.seconds)
        done, held = self.attempt(broken, lambda realm: claim(realm, lane, lease, worker=worker.name))
        if not done:
            self.lose(entry.job_id for entry in decode_ticket(delivery.body).entries)
        if held is None:
            return
        for job in held.jobs:
            self.check_free(job.id)
        self.holdings.append(Holding(worker, held, list(held.jobs)))
        self.count_expired()

    def check_free(self, job_id: str) -> None:
        """Whoever has just got it may have it."""
        assert not self.told.of(job_id).must_not_start, f"{job_id} was claimed after its cancel"
        for other in self.holdings:
            is_live = other.held.lease.seconds_left > 0 and not other.held.lease.is_over
            assert not (is_live and job_id in {one.id for one in other.left}), f"{job_id} is held twice"
        for caller in self.callers:
            is_live = caller.until > self.world.clock.seconds()
            assert not (is_live and caller.job_id == job_id), f"{job_id} is held by two, a caller among them"

    def lose(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self.told.of(job_id).losses += 1

    def count_expired(self) -> None:
        for holding in self.holdings:
            if holding.held.lease.seconds_left <= 0 and not holding.is_expired:
                holding.is_expired = True
                self.lose(job.id for job in holding.left)
        for caller in self.callers:
            if caller.until <= self.world.clock.seconds() and not caller.is_expired:
                caller.is_expired = True
                self.lose([caller.job_id])

    @precondition(lambda self: self.holdings)
    @rule(
        which=st.integers(0, 9),
        outcome=st.sampled_from([OK, OK, FAILED, PREEMPTED, Outcome(Reason.UNDECODABLE)]),
        fault=hiccups,
    )
    def record(self, which: int, outcome: Outcome, fault: Break) -> None:
        holding = self.holdings[which % len(self.holdings)]
        job = holding.left.pop(0)

        async def act(realm: Realm) -> None:
            holding.held.lease.queue = realm.queue(holding.held.lane)
            await finish(realm, holding.held, job, outcome)
            if not holding.left:
                await settle(holding.held)

        done, _ = self.attempt(fault, act)
        if not done:
            self.lose(one.id for one in (job, *holding.left))
        if not done or not holding.left:
            self.holdings.remove(holding)

    @precondition(lambda self: self.holdings)
    @rule(which=st.integers(0, 9), fault=hiccups)
    def return_the_rest(self, which: int, fault: Break) -> None:
        holding = self.holdings.pop(which % len(self.holdings))

        async def act(realm: Realm) -> None:
            holding.held.lease.queue = realm.queue(holding.held.lane)
            await give_back(realm, holding.held, holding.left)
            await settle(holding.held)

        done, _ = self.attempt(fault, act)
        if not done:
            self.lose(job.id for job in holding.left)

    @precondition(lambda self: self.holdings)
    @rule(which=st.integers(0, 9))
    def renew(self, which: int) -> None:
        holding = self.holdings[which % len(self.holdings)]
        with suppress(JobqError):
            self.run(holding.held.lease.renew())
            holding.is_expired = False

    @precondition(lambda self: self.holdings)
    @rule(which=st.integers(0, 9))
    def die(self, which: int) -> None:
        holding = self.holdings.pop(which % len(self.holdings))
        self.lose(job.id for job in holding.left)

    # ---- callers over HTTP

    @rule(count=st.integers(1, 2), broken=breaks, process=st.integers(0, 1))
    def check_out(self, count: int, broken: Break, process: int) -> None:
        done, held = self.attempt(broken, lambda realm: check_out([realm], count=count, lease=LEASE), process=process)
        if broken is not None:
            self.lose(IDS)  # whichever it had claimed when that happened
        for one in held if done else ():
            self.check_free(one.job.id)
            self.callers.append(Caller(one.job.id, one.token, self.world.clock.seconds() + LEASE.total_seconds()))

    @precondition(lambda self: self.callers)
    @rule(which=st.integers(0, 9), how=st.sampled_from(["ack", "nack", "failed"]), broken=breaks)
    def say(self, which: int, how: str, broken: Break) -> None:
        caller = self.callers.pop(which % len(self.callers))

        async def act(realm: Realm) -> None:
            if how == "ack":
                await ack(realm, caller.job_id, caller.token)
            else:
                await nack(realm, caller.job_id, caller.token, failed=how == "failed")

        done, _ = self.attempt(broken, act)
        if not done:
            self.lose([caller.job_id])

    @precondition(lambda self: self.callers)
    @rule(which=st.integers(0, 9), broken=breaks)
    def extend(self, which: int, broken: Break) -> None:
        caller = self.callers[which % len(self.callers)]
        done, _ = self.attempt(broken, lambda realm: extend(realm, caller.job_id, caller.token, lease=LEASE))
        if done:
            caller.until, caller.is_expired = self.world.clock.seconds() + LEASE.total_seconds(), False
        else:
            self.lose([caller.job_id])

    # ---- operators

    @rule(job_id=ids, broken=breaks)
    def cancel(self, job_id: str, broken: Break) -> None:
        done, _ = self.attempt(broken, lambda realm: cancel(realm, job_id))
        if done:
            self.told.of(job_id).must_not_start = True

    @rule(job_id=ids, broken=breaks)
    def remove(self, job_id: str, broken: Break) -> None:
        self.told.of(job_id).must_exist = False
        for caller in self.callers:
            if caller.job_id == job_id:
                caller.until = 0.0  # of one that is checked out nothing is left
        self.attempt(broken, lambda realm: remove(realm, job_id))

    @rule(job_id=ids, broken=breaks)
    def retry(self, job_id: str, broken: Break) -> None:
        self.told.of(job_id).must_not_start = False
        self.attempt(broken, lambda realm: retry(realm, job_id))

    @rule(job_id=ids, lane=st.sampled_from(["0", "1"]), broken=breaks)
    def leave_lane(self, job_id: str, lane: str, broken: Break) -> None:
        self.told.of(job_id).must_exist = False
        self.attempt(broken, lambda realm: leave_lane(realm, job_id, lane))

    @rule(job_id=ids, lane=st.sampled_from(["0", "1"]), broken=breaks)
    def move_lane(self, job_id: str, lane: str, broken: Break) -> None:
        self.attempt(broken, lambda realm: move_lane(realm, job_id, lane, "1" if lane == "0" else "0"))

    # ---- the queue, the sweeper, and time

    @precondition(lambda self: self.bodies)
    @rule(which=st.integers(0, 99), delay=st.sampled_from([timedelta(0), timedelta(minutes=12)]))
    def deliver_again(self, which: int, delay: timedelta) -> None:
        """A ticket that was received once is in the queue once more."""
        lane, body = self.bodies[which % len(self.bodies)]
        self.run(self.world.queue(lane).send([body], delay=delay))

    @rule(broken=breaks)
    def sweep(self, broken: Break) -> None:
        self.attempt(broken, sweep)

    @rule(by=st.sampled_from([timedelta(seconds=30), LEASE + timedelta(seconds=1), timedelta(minutes=40)]))
    def move_the_clock(self, by: timedelta) -> None:
        self.world.clock.move(by=by)
        self.count_expired()

    @rule()
    def late_requests_arrive(self) -> None:
        for stack in self.late:
            self.run(stack.be_late())
        self.late.clear()

    # ---- what is always true, and what is true in the end

    @invariant()
    def counts_equal_rows(self) -> None:
        jobs = self.run(assert_counts_equal_rows(self.world.realm))
        assert {job_id for job_id, known in self.told.jobs.items() if known.must_exist} <= jobs.keys()
        for job in jobs.values():
            assert job.failures <= LIMITS.retries + 1
            assert job.tries.get(Reason.LOST, 0) <= min(LIMITS.crashes + 1, self.told.of(job.id).losses)
            assert job.tries.get(Reason.PREEMPTED, 0) <= LIMITS.preemptions + 1

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.late_requests_arrive()
            self.run(go_on(self.world))
            self.count_expired()
            self.counts_equal_rows()
            jobs = self.run(assert_counts_equal_rows(self.world.realm))
            self.run(self.ledger.check_ever(self.world.realm))
            assert all(job.state.is_final for job in jobs.values())
            assert self.run(outbox_rows(self.world.realm)) == 0
        finally:
            self.run(self.ledger.close())
            self.runner.close()


TestJobs = Jobs.TestCase
TestJobs.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
