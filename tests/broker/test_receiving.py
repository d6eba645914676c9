"""Who is given what: receivers that wait, that have gone, and that have asked for more than they take."""

from __future__ import annotations

from datetime import timedelta

import pytest
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

from tests.broker import Broker, QueueSpec
from tests.broker.sdk import NO_WAIT_SECONDS, WAIT_SECONDS, bodies, messages, opened, receive
from tests.broker.store import Queue
from tests.until import until


@pytest.mark.parametrize("spec", [QueueSpec("q", lock=timedelta(seconds=1))])
async def test_message_whose_lock_runs_out_goes_to_who_waits(client: ServiceBusClient) -> None:
    sender = client.get_queue_sender("q")
    holder, waiting = client.get_queue_receiver("q"), client.get_queue_receiver("q")
    async with opened(sender, holder, waiting):
        await sender.send_messages(messages("a"))
        [held] = await receive(holder)

        [again] = await receive(waiting)

        assert (again.sequence_number, again.delivery_count) == (held.sequence_number, 1)
        with pytest.raises(MessageLockLostError):
            await holder.complete_message(held)


async def test_waiting_receivers_take_turns(client: ServiceBusClient, broker: Broker) -> None:
    sender = client.get_queue_sender("q")
    receivers = [client.get_queue_receiver("q", prefetch_count=10) for _ in range(2)]
    async with opened(sender, *receivers):
        for receiver in receivers:
            await receiver.receive_messages(max_wait_time=NO_WAIT_SECONDS)  # leaves its credit with the broker

        await sender.send_messages(messages("a", "b", "c", "d"))

        received = [await receive(receiver, 2) for receiver in receivers]
        assert sorted(map(bodies, received)) == [["a", "c"], ["b", "d"]]


async def test_credit_that_is_left_over_catches_a_message_which_is_then_released(
    client: ServiceBusClient, broker: Broker, queue: Queue
) -> None:
    sender = client.get_queue_sender("q")
    idle, waiting = client.get_queue_receiver("q"), client.get_queue_receiver("q")
    async with opened(sender, idle, waiting):
        assert await idle.receive_messages(max_wait_time=NO_WAIT_SECONDS) == []

        await sender.send_messages(messages("a"))
        await until(lambda: queue.locked_count == 1)

        # The SDK's keep-alive task finds it within 6 seconds, and gives it back.
        [message] = await waiting.receive_messages(max_wait_time=10)
        assert message.delivery_count == 0
        assert broker.counts["released"] == 1


async def test_closing_takes_credit_back_and_releases_what_was_on_its_way(
    client: ServiceBusClient, broker: Broker, queue: Queue
) -> None:
    sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q", prefetch_count=10)
    async with opened(sender, receiver):
        await receiver.receive_messages(max_wait_time=NO_WAIT_SECONDS)
        await sender.send_messages(messages("a", "b"))
        await until(lambda: queue.locked_count == 2)

        await receiver.close()

        await until(lambda: broker.counts["released"] == 2)
        assert [message.delivery_count for message in queue.messages()] == [0, 0]
        await sender.send_messages(messages("c"))
        assert queue.locked_count == 0


async def test_session_receiver_is_refused(client: ServiceBusClient) -> None:
    with pytest.raises(ServiceBusError, match="no sessions"):
        await client.get_queue_receiver("q", session_id="s").receive_messages(max_wait_time=WAIT_SECONDS)
