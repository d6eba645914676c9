"""How credit can be handled with the SDK so that no message gets stuck with a receiver that does not want it."""

from __future__ import annotations

import asyncio

import pytest

from tests.broker.sdk import Ends, bodies, messages, receive
from tests.until import until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_credit_can_be_taken_back_while_a_message_is_held(ends: Ends) -> None:
    receiver = ends.receiver
    await ends.sender.send_messages(messages("held"))
    [held] = await receiver.receive_messages(3, max_wait_time=1)

    await receiver._amqp_transport.drain_and_release_messages_async(receiver._handler)  # type: ignore[no-untyped-call]  # private

    await ends.sender.send_messages(messages("free"))
    assert (ends.queue.locked_count, ends.queue.active_count) == (1, 1)
    await receiver.complete_message(held)
    assert bodies(await receive(receiver)) == ["free"]


async def test_message_that_comes_between_two_calls_is_received_by_the_next(ends: Ends) -> None:
    assert await ends.receiver.receive_messages(1, max_wait_time=0.2) == []
    await ends.sender.send_messages(messages("a", "b"))

    received = await receive(ends.receiver) + await receive(ends.receiver)

    assert [(str(message), message.delivery_count) for message in received] == [("a", 0), ("b", 0)]


async def test_receive_that_is_cancelled_loses_nothing(ends: Ends) -> None:
    flows = ends.broker.counts["flow"]
    waiting = asyncio.create_task(ends.receiver.receive_messages(1, max_wait_time=5))
    await until(lambda: ends.broker.counts["flow"] > flows)

    waiting.cancel()
    await asyncio.wait([waiting])
    await ends.sender.send_messages(messages("a"))

    [message] = await receive(ends.receiver)
    assert message.delivery_count == 0
    await ends.receiver.complete_message(message)
