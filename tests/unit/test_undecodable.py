"""Messages that are no tickets: given back, then kept byte for byte among the failed jobs; they never stop a worker."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobq.core.listing import Filter, each_job
from jobq.core.logs import read_log
from jobq.core.operate import remove
from jobq.core.status import realm_status
from jobq.core.undecodable import DELIVERIES
from jobq.model.job import JobState, Reason
from jobq.model.ticket import encode_reference, encode_ticket
from tests.proof.actors import Worker
from tests.proof.faults import Fault, FaultyStack
from tests.proof.world import World, assert_counts_equal_rows, new_job


def ticket(**entry: object) -> bytes:
    return json.dumps({"v": 1, "t": "x", "jobs": [entry]}).encode()


BROKEN = {
    "no JSON": b"python train.py --seed 1",
    "no UTF-8": b"\xff\xfe\x00",
    "empty": b"",
    "a list": b"[]",
    "another version": b'{"v":2,"t":"x","jobs":[{"i":"a","g":1}]}',
    "no jobs": b'{"v":1,"t":"x","jobs":[]}',
    "no id": ticket(g=1),
    "a generation that is no number": ticket(i="a", g="many"),
    "a generation beyond all numbers": b'{"v":1,"t":"x","jobs":[{"i":"a","g":1e999}]}',
    "half a surrogate pair": b'{"v":1,"t":"x","jobs":[{"i":"\\ud800","g":1}]}',
    "an unknown key as long as a message": ticket(i="a", g=1, e="1", b="b", s={"cmd": "true", "k" * 40_000: 1}),
    "a job twice": encode_ticket("x", [encode_reference("a", 1)] * 2),
    "jobs of several shards": encode_ticket("x", [encode_reference(f"a{n}", 1) for n in range(20)]),
    "brackets without end": b"[" * 100_000,
}


async def deliver(world: World, times: int = DELIVERIES) -> None:
    worker = Worker(world, world.realm)
    for _ in range(times):
        await worker.work()
        world.clock.move(by=timedelta(minutes=1))


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_message_is_kept_byte_for_byte_after_three_deliveries(body: bytes) -> None:
    world = World()
    await world.queue().send([body])

    await deliver(world, DELIVERIES - 1)
    assert (await world.queue().look(0)).messages == 1
    await deliver(world, 1)

    assert (await world.queue().look(0)).messages == 0
    [job] = [job async for job in each_job(world.realm, Filter(state=JobState.FAILED))]
    assert (job.reason, job.id.startswith("undecodable-0-")) == (Reason.UNDECODABLE, True)
    assert len(job.message) < 1000
    assert await read_log(world.realm, job) == body
    await assert_counts_equal_rows(world.realm)
    assert (await realm_status(world.realm)).realm.as_json()["failed"] == 1


async def test_message_that_is_no_ticket_does_not_hold_up_the_others() -> None:
    world = World()
    await world.queue().send([b"nonsense"])
    await world.push_one()

    worker = Worker(world, world.realm)
    assert await worker.work() == 2
    assert worker.started == {"b-1": 1}


async def test_kept_message_is_counted_once_though_its_completion_was_lost() -> None:
    world = World()
    await world.queue().send([b"nonsense"])
    await deliver(world, 2)
    stack = FaultyStack(world.stack)
    worker = Worker(world, world.process(stack))
    stack.break_next(Fault.REQUEST_LOST, skip=3)
    await worker.work()
    assert (await world.queue().look(0)).messages == 1
    world.clock.move(by=timedelta(minutes=11))

    await deliver(world, 1)

    assert (await world.queue().look(0)).messages == 0
    assert (await realm_status(world.realm)).realm.counts.total == 1


async def test_kept_message_can_be_removed() -> None:
    world = World()
    await world.queue().send([b"nonsense"])
    await deliver(world)
    [job] = [job async for job in each_job(world.realm, Filter())]

    await remove(world.realm, job.id)

    assert await assert_counts_equal_rows(world.realm) == {}
    assert await world.stack.blobs.list("") == []


async def test_ticket_of_another_lane_is_kept_under_that_lane() -> None:
    world = World()
    await world.push(new_job("b-1", lanes=("x",)))
    await world.queue("x").send([b"nonsense"])
    worker = Worker(world, world.realm)
    for _ in range(DELIVERIES):
        await worker.work("x")
        world.clock.move(by=timedelta(minutes=1))

    [job] = [job async for job in each_job(world.realm, Filter(state=JobState.FAILED, lane="x"))]
    assert job.spec.lanes == ("x",)
