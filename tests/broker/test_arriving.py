"""What arrives is what the SDK sent."""

from __future__ import annotations

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageSizeExceededError

from tests.broker.sdk import Ends, bodies, messages, receive

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_messages_arrive_in_order_however_they_were_sent(ends: Ends) -> None:
    await ends.sender.send_messages(ServiceBusMessage("one"))
    await ends.sender.send_messages(messages("two", "three"))
    batch = await ends.sender.create_message_batch()
    batch.add_message(ServiceBusMessage("four"))
    await ends.sender.send_messages(batch)

    received = await receive(ends.receiver, 4)

    assert bodies(received) == ["one", "two", "three", "four"]
    numbers = [message.sequence_number for message in received]
    assert numbers == [*range(numbers[0] or 0, (numbers[0] or 0) + 4)]


async def test_message_comes_as_it_was_sent(ends: Ends) -> None:
    await ends.sender.send_messages(
        ServiceBusMessage(
            b"\x00\xffbody",
            application_properties={"text": "value", "number": 7},
            subject="subject",
            correlation_id="correlation",
            content_type="application/json",
            message_id="the id",
        )
    )

    [received] = await receive(ends.receiver)

    assert b"".join(received.body) == b"\x00\xffbody"
    assert received.application_properties == {b"text": b"value", b"number": 7}
    assert (received.subject, received.correlation_id) == ("subject", "correlation")
    assert (received.content_type, received.message_id) == ("application/json", "the id")


async def test_message_comes_with_what_the_queue_knows_of_it(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))

    [received] = await receive(ends.receiver)

    [kept] = ends.queue.messages()
    assert kept.lock is not None
    assert received.enqueued_time_utc is not None
    assert received.locked_until_utc is not None
    assert abs(received.enqueued_time_utc.timestamp() - kept.enqueued_at) < 0.002
    assert abs(received.locked_until_utc.timestamp() - kept.lock.until) < 0.002
    assert str(received.lock_token) == str(kept.lock.token)
    assert (received.sequence_number, received.delivery_count) == (kept.sequence_number, 0)


async def test_message_of_several_frames_comes_through(ends: Ends) -> None:
    large = "x" * 200_000
    await ends.sender.send_messages(messages(large))

    received = await receive(ends.receiver)

    assert bodies(received) == [large]


async def test_too_large_message_is_refused(ends: Ends) -> None:
    with pytest.raises(MessageSizeExceededError):
        await ends.sender.send_messages(ServiceBusMessage(b"x" * 256 * 1024))

    await ends.sender.send_messages(messages("small"))

    assert ends.queue.active_count == 1
