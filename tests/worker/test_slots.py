"""Who gets the next free slot."""

from __future__ import annotations

import asyncio

import pytest

from jobq.worker.slots import Slots


async def _settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_free_slots_are_given_at_once_and_no_more_than_there_are() -> None:
    slots = Slots(2)

    assert await slots.take(is_claimed=False)
    assert await slots.take(is_claimed=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slots.take(is_claimed=True), 0.01)
    assert slots.busy == 2


async def test_claimed_jobs_go_before_tickets_that_are_not() -> None:
    # Given a full house, and a ticket that waits longer than two claimed jobs
    slots, order = Slots(1), []
    await slots.take(is_claimed=True)

    async def wait(name: str, is_claimed: bool) -> None:
        await slots.take(is_claimed=is_claimed)
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for name, is_claimed in (("ticket", False), ("first job", True), ("second job", True)):
            group.create_task(wait(name, is_claimed))
            await _settle()
        assert slots.waiting == 2

        # When slots become free one by one
        for _ in range(3):
            slots.give()
            await _settle()

    # Then
    assert order == ["first job", "second job", "ticket"]
    assert (slots.busy, slots.waiting) == (1, 0)


async def test_whoever_waits_is_told_when_nothing_is_started_any_more() -> None:
    slots = Slots(1)
    await slots.take(is_claimed=True)
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(slots.take(is_claimed=is_claimed)) for is_claimed in (True, False)]
        await _settle()
        slots.close()

    assert [task.result() for task in waiting] == [False, False]
    assert not await slots.take(is_claimed=True)


async def test_slot_given_to_one_who_gives_up_waiting_is_not_lost() -> None:
    # Given one who waits, gets the slot and is cancelled in the same moment
    slots = Slots(1)
    await slots.take(is_claimed=True)
    waiting = asyncio.ensure_future(slots.take(is_claimed=True))
    await _settle()
    slots.give()
    waiting.cancel()
    await _settle()

    # Then the slot is free
    assert waiting.cancelled()
    assert slots.busy == 0
    assert await slots.take(is_claimed=False)


async def test_one_who_gave_up_waiting_is_passed_over() -> None:
    slots = Slots(1)
    await slots.take(is_claimed=True)
    gone = asyncio.ensure_future(slots.take(is_claimed=True))
    next_one = asyncio.ensure_future(slots.take(is_claimed=False))
    await _settle()
    gone.cancel()
    await _settle()

    slots.give()

    assert await next_one
    assert slots.busy == 1
