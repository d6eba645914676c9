"""How a worker asks its lanes: one after the other for what is there, all together for what comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest

from jobq.adapters.local import MemoryStack
from jobq.adapters.sqlite_queue import LIMITS
from jobq.core.ports import NO_DELAY, Delivery, QueueLimits, TicketQueue
from jobq.core.realm import Realm
from jobq.core.realm_settings import NO_LEASE, SettingsChange, change_settings
from jobq.errors import Unreachable
from jobq.model.job import JobState
from jobq.worker.lanes import Lanes, RealmLanes, Taken
from tests.until import until
from tests.worker.running import push, shell, working

LEASE = timedelta(minutes=5)
FOR_EVER = 600.0


class WaitingQueue:
    """A queue in memory that can be waited at. Counts who asks and waits, tells what came, and fails when told to."""

    def __init__(self, queue: TicketQueue) -> None:
        self.limits = QueueLimits(**{name: getattr(LIMITS, name) for name in LIMITS.__slots__} | {"waits": True})
        self.waiting = 0
        self.asked = 0
        self.fails = False
        self.on_received: Callable[[], None] = lambda: None
        self._queue = queue

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait.total_seconds()
        self.asked += 1
        self.waiting += wait > NO_DELAY
        try:
            while not (got := await self._queue.receive(limit, lease=lease)) and loop.time() < deadline:
                if self.fails:
                    raise Unreachable("out of order")
                await asyncio.sleep(0.01)
            if got:
                self.on_received()
            return got
        finally:
            self.waiting -= wait > NO_DELAY

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)


class WaitingStack:
    def __init__(self) -> None:
        self._stack = MemoryStack()
        self.queues: dict[str, WaitingQueue] = {}

    def queue(self, name: str) -> WaitingQueue:
        return self.queues.setdefault(name, WaitingQueue(self._stack.queue(name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stack, name)


@pytest.fixture
async def realm() -> AsyncIterator[Realm]:
    realm = Realm(WaitingStack(), "lanes")
    await realm.open_lanes(["0", "1", "bulk"])
    yield realm
    await realm.stack.close()


@pytest.fixture
async def lanes(realm: Realm) -> Lanes:
    return await lanes_of(realm)


async def lanes_of(*realms: Realm, **options: Any) -> Lanes:
    """Of realms as they are now."""
    lanes = Lanes([RealmLanes(realm, **{"lease": LEASE, **options}) for realm in realms])
    for one in lanes.realms:
        await one.look()
    return lanes


def queue_of(realm: Realm, lane: str) -> WaitingQueue:
    queue = realm.queue(lane)
    assert isinstance(queue, WaitingQueue)
    return queue


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_lowest_lane_is_taken_from_first(realm: Realm, lanes: Lanes) -> None:
    for lane in ("bulk", "1", "0"):
        await realm.queue(lane).send([lane.encode(), lane.encode()])

    taken = [await lanes.take(lambda: 5) for _ in range(4)]

    assert [[ticket.lane for ticket in some] for some in taken] == [["0", "0"], ["1", "1"], ["bulk", "bulk"], []]


async def test_lanes_that_are_not_waited_at_are_asked_one_after_the_other() -> None:
    stack = MemoryStack()
    realm = Realm(stack, "lanes")
    await realm.open_lanes(["0", "1", "bulk"])
    lanes = await lanes_of(realm)
    for lane in ("bulk", "1", "0"):
        await realm.queue(lane).send([lane.encode(), lane.encode()])

    taken = await lanes.take(lambda: 5)

    assert [ticket.lane for ticket in taken] == ["0", "0", "1", "1", "bulk"]
    await stack.close()


async def test_realms_take_turns_and_share_the_room_at_each_lane(realm: Realm) -> None:
    # Given two realms with tickets in lanes 0 and 1, and one without
    stack = MemoryStack()
    a, b, idle = (Realm(stack, name) for name in ("one", "two", "idle"))
    for some in (a, b, idle):
        await some.open_lanes(["0", "1"])
    for some, tickets in ((a, 5), (b, 7)):
        for lane in ("1", "0"):
            await some.queue(lane).send([lane.encode()] * tickets)
    lanes = await lanes_of(a, idle, b)

    # When they are asked for one after the other, and then for several at once
    taken = [await lanes.take(lambda: 1) for _ in range(4)]
    more = [await lanes.take(lambda room=room: room) for room in (4, 9)]  # type: ignore[misc]  # bound now

    # Then
    assert [[_said(ticket) for ticket in some] for some in taken] == [["one/0"], ["two/0"], ["one/0"], ["two/0"]]
    assert [[_said(ticket) for ticket in some] for some in more] == [
        ["one/0", "one/0", "two/0", "two/0"],
        ["one/0", *["two/0"] * 3, *["one/1"] * 3, *["two/1"] * 2],
    ]
    await stack.close()


async def test_lease_is_as_long_as_the_lane_is_set_to_or_else_the_realm() -> None:
    # Given two realms, one of which is set to something
    stack = MemoryStack()
    default, chosen = Realm(stack, "default"), Realm(stack, "chosen")
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    await change_settings(chosen, SettingsChange(lease=hour, lane_leases={"1": minute, "2": NO_LEASE}))
    for some in (default, chosen):
        await some.open_lanes(["0", "1", "2"])
        for lane in ("0", "1", "2"):
            await some.queue(lane).send([b"ticket"])

    # When their tickets are taken
    lanes = await lanes_of(default, chosen, lease=None)
    taken = {_said(ticket): ticket.lease for ticket in await lanes.take(lambda: 100)}

    # Then
    assert {name: lease.length for name, lease in taken.items()} == {
        **{f"default/{lane}": timedelta(minutes=10) for lane in ("0", "1", "2")},
        "chosen/0": hour,
        "chosen/1": minute,
        "chosen/2": hour,
    }
    assert 59 < taken["chosen/1"].delivery.lease.total_seconds() <= 60
    await stack.close()


async def test_lease_that_a_worker_is_given_wins() -> None:
    stack = MemoryStack()
    realm = Realm(stack, "lanes")
    await change_settings(realm, SettingsChange(lease=timedelta(hours=1)))
    await realm.queue("0").send([b"ticket"])

    (ticket,) = await (await lanes_of(realm)).take(lambda: 1)

    assert ticket.lease.length == LEASE
    await stack.close()


async def test_wait_ends_when_a_ticket_comes_to_any_lane(realm: Realm, lanes: Lanes) -> None:
    # Given a wait at all lanes
    waiting = asyncio.ensure_future(lanes.wait(for_ever(), FOR_EVER))
    await until(lambda: all(queue_of(realm, lane).waiting for lane in ("0", "1", "bulk")))

    # When a ticket comes to one of them
    await realm.queue("1").send([b"ticket"])
    await waiting

    # Then it is there to be taken, before anybody is asked for more, and nobody waits any more
    asked = [queue_of(realm, lane).asked for lane in ("0", "1", "bulk")]
    taken = await lanes.take(lambda: 5)
    assert asked == [queue_of(realm, lane).asked for lane in ("0", "1", "bulk")]
    assert [(lane, lease.delivery.body) for _, lane, lease in taken] == [("1", b"ticket")]
    assert not any(queue_of(realm, lane).waiting for lane in ("0", "1", "bulk"))


async def test_wait_ends_with_what_it_was_to_last_for(realm: Realm, lanes: Lanes) -> None:
    is_over = asyncio.Event()

    async def over() -> None:
        await is_over.wait()

    waiting = asyncio.ensure_future(lanes.wait(over(), FOR_EVER))
    await until(lambda: queue_of(realm, "0").waiting)

    is_over.set()
    await waiting

    assert await lanes.take(lambda: 1) == []


async def test_lane_in_trouble_is_an_error_and_what_others_gave_is_kept(realm: Realm, lanes: Lanes) -> None:
    await realm.queue("0").send([b"ticket"])
    queue_of(realm, "1").fails = True

    with pytest.raises(Unreachable):
        await lanes.wait(for_ever(), FOR_EVER)

    queue_of(realm, "1").fails = False
    assert [ticket.lane for ticket in await lanes.take(lambda: 3)] == ["0"]


async def test_worker_starts_at_once_what_comes_while_it_waits(realm: Realm) -> None:
    async with working(realm):
        await until(lambda: queue_of(realm, "0").waiting and queue_of(realm, "bulk").waiting)

        ids = await push(realm, shell("true", lanes=("bulk",)), shell("true"))

        await until(lambda: _all_succeeded(realm, ids))


async def test_worker_that_is_stopped_gives_back_what_came_meanwhile(realm: Realm) -> None:
    # Given a worker that waits
    async with working(realm) as worker:
        await until(lambda: queue_of(realm, "1").waiting)

        # When a ticket comes, and it is stopped at that very moment
        queue_of(realm, "1").on_received = worker.drain
        ids = await push(realm, shell("true", lanes=("1",)))
        await until(lambda: worker.pool.slots.is_closed)

    # Then the ticket is there for others, neither used up nor hidden
    assert len(await realm.queue("1").receive(1, lease=LEASE)) == 1
    assert (await realm.read(ids[0])).attempt == 0


def _said(ticket: Taken) -> str:
    return f"{ticket.realm.name}/{ticket.lane}"


async def _all_succeeded(realm: Realm, ids: list[str]) -> bool:
    return {(await realm.read(job_id)).state for job_id in ids} == {JobState.SUCCEEDED}
