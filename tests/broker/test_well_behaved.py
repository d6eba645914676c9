"""All that the SDK does in ordinary use, in one go: nobody has broken the protocol at the end, and all was counted."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import AutoLockRenewer, ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from tests.broker import QueueSpec
from tests.broker.sdk import bodies, clean_broker, connected, messages, opened, receive
from tests.until import until


async def test_ordinary_use_breaks_no_rule() -> None:
    async with clean_broker(QueueSpec("q", lock=timedelta(minutes=1))) as broker, connected(broker) as client:
        sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
        async with opened(sender, receiver):
            await send(sender)
            await settle(receiver)
            await schedule_and_peek(sender, receiver)
            await broker.drop_connections()
            await go_on(sender, receiver)
        await empty_the_dead_letter_queue(client)

        assert broker.queue("q").messages() == []
        assert broker.queue("q").dead_letter_count == 0
        counted = {name: number for name, number in broker.counts.items() if name in EXPECTED}
        assert counted == EXPECTED


EXPECTED = {
    "sent": 6,
    "scheduled": 2,
    "cancelled": 1,
    "delivered": 10,
    "completed": 7,
    "abandoned": 1,
    "deferred": 1,
    "dead-lettered": 1,
    "renewed": 1,
    "peeked": 2,
    "put-token": 5,
    "connections": 5,
}


async def send(sender: ServiceBusSender) -> None:
    await sender.send_messages(ServiceBusMessage("one"))
    await sender.send_messages(messages("two", "three", "four"))
    await sender.send_messages(ServiceBusMessage("x" * 200_000))


async def settle(receiver: ServiceBusReceiver) -> None:
    one, two, three, four, large = await receive(receiver, 5)
    await receiver.renew_message_lock(one)
    await receiver.complete_message(one)
    await receiver.abandon_message(two)
    await receiver.defer_message(three)
    await receiver.dead_letter_message(four, reason="why", error_description="because")
    [again] = await receive(receiver)
    [deferred] = await receiver.receive_deferred_messages(three.sequence_number or 0)
    await asyncio.gather(*map(receiver.complete_message, [again, deferred, large]))


async def schedule_and_peek(sender: ServiceBusSender, receiver: ServiceBusReceiver) -> None:
    soon, later = datetime.now(UTC) + timedelta(seconds=0.5), datetime.now(UTC) + timedelta(days=1)
    await sender.schedule_messages(messages("soon"), soon)
    await sender.cancel_scheduled_messages(await sender.schedule_messages(messages("never"), later))
    assert bodies(await receiver.peek_messages(10, sequence_number=1)) == ["soon"]
    [message] = await receive(receiver)
    await receiver.complete_message(message)


async def go_on(sender: ServiceBusSender, receiver: ServiceBusReceiver) -> None:
    await sender.send_messages(ServiceBusMessage("five"))
    async for message in receiver:
        await receiver.complete_message(message)
        break


async def empty_the_dead_letter_queue(client: ServiceBusClient) -> None:
    receiver = client.get_queue_receiver("q", sub_queue=ServiceBusSubQueue.DEAD_LETTER)
    async with opened(receiver):
        await receiver.peek_messages()
        [message] = await receive(receiver)
        await receiver.complete_message(message)
        assert await receiver.receive_messages(max_wait_time=0.2) == []


async def test_lock_renewer_of_the_sdk_keeps_a_lock() -> None:
    lock = timedelta(seconds=2.5)
    async with clean_broker(QueueSpec("q", lock=lock)) as broker, connected(broker) as client:
        sender, receiver = client.get_queue_sender("q"), client.get_queue_receiver("q")
        async with opened(sender, receiver), AutoLockRenewer() as renewer:
            await sender.send_messages(messages("a"))
            [message] = await receive(receiver)
            renewer.register(receiver, message, max_lock_renewal_duration=60)

            await until(lambda: broker.counts["renewed"])

            await receiver.complete_message(message)
        assert broker.counts["lock-expired"] == 0


async def test_eight_receivers_empty_a_queue_together() -> None:
    async with clean_broker(QueueSpec("q")) as broker, connected(broker) as client:
        sender = client.get_queue_sender("q")
        receivers = [client.get_queue_receiver("q") for _ in range(8)]
        async with opened(sender, *receivers):
            await sender.send_messages(messages(*map(str, range(200))))

            done = await asyncio.gather(*map(work_through, receivers))

        assert sorted(int(body) for part in done for body in part) == [*range(200)]
        assert broker.queue("q").messages() == []


async def work_through(receiver: ServiceBusReceiver) -> list[str]:
    """Receive and complete until nothing comes; what came."""
    done = []
    while received := await receiver.receive_messages(10, max_wait_time=0.5):
        await asyncio.gather(*map(receiver.complete_message, received))
        done += bodies(received)
    return done
