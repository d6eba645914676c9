"""What the SDK's settlements do."""

from __future__ import annotations

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import MessageLockLostError

from tests.broker.sdk import Ends, bodies, messages, receive

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_receiver_is_given_no_more_than_it_asks_for(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a", "b", "c"))

    received = await receive(ends.receiver, 2)

    assert bodies(received) == ["a", "b"]
    assert (ends.queue.locked_count, ends.queue.active_count) == (2, 1)


async def test_completed_message_is_gone(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)

    await ends.receiver.complete_message(message)

    assert ends.queue.messages() == []


async def test_abandoned_message_comes_again_at_once(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a", "b"))
    [message] = await receive(ends.receiver)

    await ends.receiver.abandon_message(message)

    [again] = await receive(ends.receiver)
    assert (str(again), again.delivery_count) == ("a", 1)


async def test_message_that_fails_too_often_is_dead_lettered(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))

    for _ in range(ends.queue.spec.max_delivery_count):
        [message] = await receive(ends.receiver)
        await ends.receiver.abandon_message(message)

    [dead] = await receive(ends.dead_letters)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_deferred_message_comes_by_its_number(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)

    await ends.receiver.defer_message(message)

    assert ends.queue.deferred_count == 1
    [deferred] = await ends.receiver.receive_deferred_messages(message.sequence_number or 0)
    await ends.receiver.complete_message(deferred)
    assert ends.queue.messages() == []


async def test_dead_lettered_message_comes_with_its_reason(ends: Ends) -> None:
    await ends.sender.send_messages([ServiceBusMessage("a", application_properties={"mine": 1}), *messages("b")])
    with_reason, without = await receive(ends.receiver, 2)

    await ends.receiver.dead_letter_message(with_reason, reason="why", error_description="because")
    await ends.receiver.dead_letter_message(without)

    first, second = await receive(ends.dead_letters, 2)
    assert (first.dead_letter_reason, first.dead_letter_error_description) == ("why", "because")
    assert (first.application_properties or {})[b"mine"] == 1
    assert first.sequence_number == with_reason.sequence_number
    assert first.enqueued_time_utc == with_reason.enqueued_time_utc
    assert (second.dead_letter_reason, second.dead_letter_error_description) == (None, None)


async def test_dead_letter_can_be_completed(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)
    await ends.receiver.dead_letter_message(message)
    [dead] = await receive(ends.dead_letters)

    await ends.dead_letters.complete_message(dead)

    assert ends.queue.dead_letter_count == 0


async def test_lock_that_was_lost_behind_the_clients_back_is_told(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a"))
    [message] = await receive(ends.receiver)
    ends.queue.expire_lock(message.sequence_number or 0)

    with pytest.raises(MessageLockLostError):
        await ends.receiver.complete_message(message)
    with pytest.raises(MessageLockLostError):
        await ends.receiver.renew_message_lock(message)

    assert ends.queue.active_count == 1


async def test_message_received_and_deleted_is_gone_at_once(ends: Ends) -> None:
    await ends.sender.send_messages(messages("a", "b"))

    received = await receive(ends.deleting)

    assert bodies(received) == ["a"]
    assert (ends.queue.active_count, ends.queue.locked_count) == (1, 0)
