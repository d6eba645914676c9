"""The meter counts what an account would be billed for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from jobq.adapters.local import MemoryStack
from jobq.core.meter import Meter, metered
from jobq.core.ports import Stack, create
from jobq.errors import Conflict

LEASE = timedelta(minutes=1)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
async def stack(meter: Meter) -> AsyncIterator[Stack]:
    stack = metered(MemoryStack(lambda: 0.0), meter)
    yield stack
    await stack.close()


async def test_each_call_of_each_port_counts_one(stack: Stack, meter: Meter) -> None:
    queue = stack.queue("q")

    await stack.table.commit("p", [create("a", {}), create("b", {})])
    await stack.table.get("p", "a")
    await stack.table.scan("p", "")
    await queue.send([b"1", b"2"])
    first, second = await queue.receive(2, lease=LEASE)
    first = await queue.extend(first, lease=LEASE)
    await queue.complete(first)
    await queue.release(second, b"3")
    await queue.look(0)
    await stack.blobs.put("a", b"")
    await stack.blobs.get("a")
    await stack.blobs.append("b", b"")
    await stack.blobs.list("")
    await stack.blobs.delete("a")

    calls = {
        "table": ["commit", "get", "scan"],
        "queue": ["send", "receive", "extend", "complete", "release", "look"],
        "blob": ["put", "get", "append", "list", "delete"],
    }
    assert meter == {f"{port}.{call}": 1 for port, names in calls.items() for call in names}
    assert meter.total() == 14


async def test_answers_pass_through_unchanged(stack: Stack) -> None:
    queue = stack.queue("q")
    [etag] = await stack.table.commit("p", [create("a", {"n": 1, "m": 2})])
    await stack.blobs.append("log", b"abc")

    [row] = await stack.table.scan("p", "a", after="", limit=5, columns=["n"])
    await queue.send([b"later"], delay=LEASE)

    assert (row.etag, row.values) == (etag, {"n": 1})
    assert await queue.receive(1, lease=LEASE) == []
    assert (await queue.look(0)).messages == 1
    assert await stack.blobs.get("log", start=1) == b"bc"
    assert stack.address == "memory:"


async def test_refused_call_counts_too(stack: Stack, meter: Meter) -> None:
    await stack.table.commit("p", [create("a", {})])
    with pytest.raises(Conflict):
        await stack.table.commit("p", [create("a", {})])

    assert meter["table.commit"] == 2


async def test_send_counts_the_requests_its_bodies_travel_in(stack: Stack, meter: Meter) -> None:
    queue = stack.queue("q")

    await queue.send([])
    assert meter["queue.send"] == 0
    await queue.send([b""] * queue.limits.max_send)
    assert meter["queue.send"] == 1
    await queue.send([b""] * (queue.limits.max_send + 1))
    assert meter["queue.send"] == 3


async def test_look_at_messages_counts_one_more_than_counting_them(stack: Stack, meter: Meter) -> None:
    await stack.queue("q").look(0)
    assert meter["queue.look"] == 1

    await stack.queue("q").look(5)
    assert meter["queue.look"] == 3


async def test_scan_counts_one_for_each_thousand_rows_and_at_least_one(stack: Stack, meter: Meter) -> None:
    await stack.table.scan("p", "")
    assert meter["table.scan"] == 1

    for start in range(0, 1_100, 100):
        await stack.table.commit("p", [create(f"{start + i:05}", {}) for i in range(100)])

    await stack.table.scan("p", "", limit=1_000)
    assert meter["table.scan"] == 2
    await stack.table.scan("p", "", limit=2_000)
    assert meter["table.scan"] == 4
