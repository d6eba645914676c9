"""Queues that do not take everything, and queues that are not there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusQuotaExceededError,
)

from tests.broker import Broker, QueueSpec
from tests.broker.sdk import WAIT_SECONDS, both_ends, clean_broker, connected, messages, opened, receive
from tests.broker.store import Queue


@pytest.mark.parametrize("spec", [QueueSpec("q", max_message_bytes=64 * 1024)])
async def test_sender_is_told_how_large_a_batch_may_be(client: ServiceBusClient) -> None:
    sender = client.get_queue_sender("q")
    async with opened(sender):
        batch = await sender.create_message_batch()

    assert batch.max_size_in_bytes == 64 * 1024


@pytest.mark.parametrize("spec", [QueueSpec("q", max_bytes=1000)])
async def test_full_queue_takes_no_more(client: ServiceBusClient, queue: Queue) -> None:
    sender = client.get_queue_sender("q")
    async with opened(sender):
        await sender.send_messages(ServiceBusMessage(b"x" * 700))

        with pytest.raises(ServiceBusQuotaExceededError):
            await sender.send_messages(ServiceBusMessage(b"x" * 700))

    assert queue.active_count == 1


@pytest.mark.parametrize("spec", [QueueSpec("q", duplicate_window=timedelta(minutes=1))])
async def test_duplicates_are_accepted_and_dropped(client: ServiceBusClient, broker: Broker) -> None:
    sender = client.get_queue_sender("q")
    async with opened(sender):
        await sender.send_messages(ServiceBusMessage("first", message_id="1"))
        await sender.send_messages([ServiceBusMessage("again", message_id=name) for name in ("1", "2", "2")])
        later = datetime.now(UTC) + timedelta(minutes=1)
        await sender.schedule_messages([ServiceBusMessage("later", message_id=name) for name in ("1", "3", "3")], later)

    assert (broker.queue("q").active_count, broker.queue("q").scheduled_count) == (2, 1)
    assert broker.counts["duplicates"] == 4


async def test_unknown_queue_is_not_found(client: ServiceBusClient) -> None:
    with pytest.raises(MessagingEntityNotFoundError):
        await client.get_queue_sender("nowhere").send_messages(ServiceBusMessage("x"))
    with pytest.raises(MessagingEntityNotFoundError):
        await client.get_queue_receiver("nowhere").receive_messages(max_wait_time=WAIT_SECONDS)


async def test_unknown_queue_is_made_after_the_template() -> None:
    template = QueueSpec("any", max_delivery_count=77)
    async with clean_broker(template=template) as broker, connected(broker) as client:
        async with both_ends(client, "new") as (sender, receiver):
            await sender.send_messages(messages("x"))
            await receive(receiver)

        assert broker.queue("NEW").spec == QueueSpec("new", max_delivery_count=77)


@pytest.mark.parametrize("spec", [QueueSpec("q", is_disabled=True)])
async def test_disabled_queue_says_so(broker: Broker) -> None:
    async with connected(broker, retry_total=0) as client:
        with pytest.raises(MessagingEntityDisabledError):
            await client.get_queue_sender("q").send_messages(ServiceBusMessage("x"))


async def test_two_senders_share_the_order(client: ServiceBusClient, queue: Queue) -> None:
    senders = [client.get_queue_sender("q") for _ in range(2)]
    async with opened(*senders):
        for text, sender in zip("abcd", senders * 2, strict=True):
            await sender.send_messages(ServiceBusMessage(text, message_id=text))

    assert [message.posted.message_id for message in queue.messages()] == ["a", "b", "c", "d"]
