"""What the SDK does over `$management`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState
from azure.servicebus.exceptions import MessageNotFoundError

from tests.broker.sdk import Ends, bodies, messages, receive

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = timedelta(minutes=1)


async def test_renewed_lock_lasts_longer(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)
    before = message.locked_until_utc
    assert before is not None

    until = await ends.receiver.renew_message_lock(message)

    assert until > before
    [kept] = ends.queue.messages()
    assert kept.lock is not None
    assert abs(until.timestamp() - kept.lock.until) < 0.002


async def test_scheduled_messages_arrive_when_they_are_due(ends: Ends) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.7)

    numbers = await ends.sender.schedule_messages(messages("a", "b"), soon)
    await ends.sender.send_messages(ServiceBusMessage("c", scheduled_enqueue_time_utc=soon))

    assert len(numbers) == 2
    assert ends.queue.scheduled_count == 3
    received = await receive(ends.receiver, 3)
    assert bodies(received) == ["a", "b", "c"]
    assert datetime.now(UTC) >= soon


async def test_cancelled_messages_do_not_arrive(ends: Ends) -> None:
    numbers = await ends.sender.schedule_messages(messages("a", "b"), datetime.now(UTC) + MINUTE)

    await ends.sender.cancel_scheduled_messages(numbers[0])

    assert [message.sequence_number for message in ends.queue.messages()] == numbers[1:]
    with pytest.raises(MessageNotFoundError):
        await ends.sender.cancel_scheduled_messages(numbers[0])


async def test_peek_shows_all_and_locks_nothing(ends: Ends) -> None:
    await ends.sender.send_messages(messages("locked", "active"))
    [number] = await ends.sender.schedule_messages(ServiceBusMessage("scheduled"), datetime.now(UTC) + MINUTE)
    [locked] = await receive(ends.receiver)
    first = locked.sequence_number or 0

    peeked = await ends.receiver.peek_messages(10, sequence_number=first)
    rest = await ends.receiver.peek_messages(10, sequence_number=first + 1)
    none = await ends.receiver.peek_messages(10, sequence_number=number + 1)

    assert bodies(peeked) == ["locked", "active", "scheduled"]
    assert [message.state for message in peeked] == [
        ServiceBusMessageState.ACTIVE,
        ServiceBusMessageState.ACTIVE,
        ServiceBusMessageState.SCHEDULED,
    ]
    assert bodies(rest) == ["active", "scheduled"]
    assert none == []
    assert (ends.queue.locked_count, ends.queue.active_count) == (1, 1)


async def test_peek_reaches_dead_letters(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)
    await ends.receiver.dead_letter_message(message, reason="why")

    [peeked] = await ends.dead_letters.peek_messages(sequence_number=1)

    assert (str(peeked), peeked.dead_letter_reason) == ("a", "why")


async def test_deferred_messages_are_settled_in_every_way(ends: Ends) -> None:
    await ends.sender.send_messages(messages("complete", "abandon", "defer", "dead-letter"))
    received = await receive(ends.receiver, 4)
    for message in received:
        await ends.receiver.defer_message(message)

    numbers = [message.sequence_number or 0 for message in received]
    done, failed, later, dead = await ends.receiver.receive_deferred_messages(numbers)
    await ends.receiver.complete_message(done)
    await ends.receiver.abandon_message(failed)
    await ends.receiver.defer_message(later)
    await ends.receiver.dead_letter_message(dead, reason="why", error_description="because")

    left = [(message.sequence_number, message.delivery_count) for message in ends.queue.messages()]
    assert left == [(numbers[1], 1), (numbers[2], 0)]
    [buried] = ends.queue.dead_letters.messages()
    assert buried.dead_lettering is not None
    assert buried.dead_lettering.reason == "why"


async def test_deferred_message_can_be_received_and_deleted(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)
    await ends.receiver.defer_message(message)

    received = await ends.deleting.receive_deferred_messages(message.sequence_number or 0)

    assert bodies(received) == ["a"]
    assert ends.queue.messages() == []


async def test_message_that_is_not_deferred_is_not_found(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = ends.queue.messages()

    with pytest.raises(MessageNotFoundError):
        await ends.receiver.receive_deferred_messages(message.sequence_number)

    assert ends.queue.active_count == 1
