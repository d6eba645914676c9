"""A backend in trouble, and messages that nobody can read: never an empty queue, never the end of the worker."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from jobq.core.claim import claim
from jobq.core.lease import TicketLease
from jobq.core.logs import read_log
from jobq.core.ports import NO_DELAY, BlobStore, Delivery, Stack, Table, TicketQueue
from jobq.core.realm import Realm
from jobq.errors import NotAllowed, NotFound, Unreachable
from jobq.model.job import JobState
from jobq.worker import ticket_run
from jobq.worker.options import WorkerOptions
from jobq.worker.run import make_worker
from tests.proof.missing import MissingStack
from tests.proof.world import assert_counts_equal_rows, jobs_in
from tests.stacks import PLACES
from tests.until import until
from tests.worker.running import ONE_SHARD, jobs, push, shell, states, work, working

LEASE = timedelta(minutes=10)
GARBAGE = [b"no ticket at all", b'{"v": 99, "jobs": []}', '{"v":1,"t":"x","jobs":[{"i":"\xe4"}]}'.encode()]


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("chunk", [1, 2])
async def test_job_of_a_lost_worker_keeps_its_ticket_while_it_has_to_wait(
    realm: Realm, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    # Given a worker that was lost in the midst of two jobs, whose tickets another one has received
    ids = await push(realm, "true", "true", chunk=chunk, ids=ONE_SHARD[:2])
    for delivery in await _received(realm, 2 // chunk):
        assert await claim(realm, "0", TicketLease(realm.queue("0"), delivery, LEASE, time.monotonic()), worker="lost")
        await realm.queue("0").release(delivery, delivery.body)
    again = await _received(realm, 2 // chunk)

    # When that has no slot for them
    monkeypatch.setattr(ticket_run, "HOARD_SECONDS", 0.05)
    monkeypatch.setattr(ticket_run, "SUSPECT_PATIENCE", 0.05)
    busy = make_worker(realm, WorkerOptions(quiet=True)).posts[realm.name].runner
    assert await busy.pool.slots.take(is_claimed=True)
    for delivery in again:
        await busy.run("0", TicketLease(realm.queue("0"), delivery, LEASE, time.monotonic()))

    # Then whoever has takes the jobs over
    await work(realm)
    assert await states(realm, ids) == ["succeeded", "succeeded"]
    await assert_counts_equal_rows(realm)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, indirect=True)
async def test_message_that_nobody_can_read_is_kept_byte_for_byte_and_stops_nobody(realm: Realm) -> None:
    # Given messages that are no tickets, between jobs
    await push(realm, "true", batch="before")
    await realm.queue("0").send(GARBAGE)
    await push(realm, "true", batch="after")

    # When a worker meets each of them three times
    async with working(realm, slots=2):
        await until(lambda: _failed(realm, len(GARBAGE)))

        # Then it goes on working
        late = await push(realm, "true", batch="late")
        await until(lambda: _all_ended(realm, len(GARBAGE) + 3))

    kept = [job for job in (await jobs_in(realm)).values() if job.state is JobState.FAILED]
    assert {job.reason for job in kept} == {"undecodable"}
    assert sorted([await read_log(realm, job) for job in kept]) == sorted(GARBAGE)
    assert await states(realm, late) == ["succeeded"]
    assert await realm.queue("0").depth() == 0
    await assert_counts_equal_rows(realm)


async def test_backend_that_never_answers_is_an_error(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.worker.worker.PATIENCE_AT_FIRST", 1.0)
    ids = await push(realm, "true")

    summary = await work(Realm(TroubledStack(realm.stack, broken=10**6), realm.name))

    assert isinstance(summary.error, Unreachable)
    assert await states(realm, ids) == ["queued"]


async def test_backend_that_refuses_is_an_error_at_once(realm: Realm) -> None:
    troubled = TroubledStack(realm.stack, broken=10**6, error=NotAllowed("no role"))

    assert isinstance((await work(Realm(troubled, realm.name))).error, NotAllowed)


async def test_backend_that_comes_back_is_asked_again(realm: Realm) -> None:
    ids = await push(realm, "true")

    summary = await work(Realm(TroubledStack(realm.stack, broken=2), realm.name))

    assert summary.error is None
    assert await states(realm, ids) == ["succeeded"]


async def test_lane_without_a_queue_keeps_no_worker_from_the_others(
    realm: Realm, caplog: pytest.LogCaptureFixture
) -> None:
    # Given jobs in lanes whose queues are there, and in one whose queue is gone
    ids = await push(realm, shell("true", lanes=("1",)), shell("true", lanes=("5",)), shell("true", lanes=("9",)))
    lacking = Realm(MissingStack(realm.stack, f"{realm.name}-lane-5"), realm.name)

    # When a worker runs until nothing is queued
    summary = await work(lacking)

    # Then it has run what it can, said once what it cannot, and does not end as if that were nothing
    assert await states(realm, ids) == ["succeeded", "queued", "succeeded"]
    assert isinstance(summary.error, NotFound)
    assert caplog.text.count("went on without lane 5") == 1


async def test_lane_whose_queue_is_gone_matters_to_nobody_when_nothing_waits_there(realm: Realm) -> None:
    ids = await push(realm, shell("true", lanes=("5",)), shell("true"))
    assert (await work(realm, max_lane="5")).error is None

    summary = await work(Realm(MissingStack(realm.stack, f"{realm.name}-lane-5"), realm.name))

    assert summary.error is None
    assert await states(realm, ids) == ["succeeded", "succeeded"]


async def test_queue_that_is_made_while_a_worker_runs_is_found(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobq.worker.lanes.MISSING_SECONDS", 0.0)
    ids = await push(realm, shell("true", lanes=("5",)), "true")
    stack = MissingStack(realm.stack, f"{realm.name}-lane-5")

    async with working(Realm(stack, realm.name)) as worker:
        await until(lambda: "5" in worker.posts[realm.name].lanes.missing)
        stack.missing.clear()

        await until(lambda: _all_ended(realm, 2))

    assert await states(realm, ids) == ["succeeded", "succeeded"]


async def test_ticket_of_one_lane_is_not_lost_when_the_next_lane_does_not_answer(realm: Realm) -> None:
    # Given a queue that breaks just when another one has given its ticket
    ids = await push(realm, "true", shell("true", lanes=("1",)))
    troubled = TroubledStack(realm.stack, broken=1, queue=f"{realm.name}-lane-1")

    await work(Realm(troubled, realm.name), slots=2, lease=timedelta(minutes=10))

    assert [(job.state.value, job.attempt) for job in await jobs(realm, ids)] == [("succeeded", 1)] * 2


async def _failed(realm: Realm, count: int) -> bool:
    return sum(job.state is JobState.FAILED for job in (await jobs_in(realm)).values()) == count


async def _received(realm: Realm, count: int) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        deliveries += await realm.queue("0").receive(count, lease=LEASE, wait=timedelta(seconds=5))
    return deliveries


async def _all_ended(realm: Realm, count: int) -> bool:
    return sum(job.state.is_final for job in (await jobs_in(realm)).values()) == count


class TroubledStack:
    """The first so many receives from a queue (from any, by default) fail."""

    def __init__(self, stack: Stack, *, broken: int, queue: str = "", error: Exception | None = None) -> None:
        self.address, self.table, self.blobs = stack.address, stack.table, stack.blobs
        self.broken = broken
        self._stack, self._queue, self._error = stack, queue, error or Unreachable("no answer")

    table: Table
    blobs: BlobStore

    def queue(self, name: str) -> TicketQueue:
        return TroubledQueue(self, self._stack.queue(name), self._error, is_troubled=self._queue in ("", name))

    async def close(self) -> None:
        await self._stack.close()


class TroubledQueue:
    def __init__(self, stack: TroubledStack, queue: TicketQueue, error: Exception, *, is_troubled: bool) -> None:
        self.limits = queue.limits
        self.send, self.extend, self.complete = queue.send, queue.extend, queue.complete
        self.release, self.depth = queue.release, queue.depth
        self._stack, self._queue, self._error, self._is_troubled = stack, queue, error, is_troubled

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        if self._is_troubled and self._stack.broken > 0:
            self._stack.broken -= 1
            raise self._error
        return await self._queue.receive(limit, lease=lease, wait=wait)
