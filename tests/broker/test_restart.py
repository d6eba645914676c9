"""What outlives connections, and what clients make of a service that comes and goes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusConnectionError

from tests.broker import Broker, Delay, QueueSpec
from tests.broker.clock import MovedClock
from tests.broker.misdeeds import BODY, message, ready_to_send
from tests.broker.raw_peer import raw_peer
from tests.broker.sdk import both_ends, clean_broker, connected, messages, receive
from tests.broker.store import Queue
from tests.until import until


async def test_lock_outlives_its_connection(client: ServiceBusClient, broker: Broker, queue: Queue) -> None:
    async with both_ends(client) as (sender, receiver):
        await sender.send_messages(messages("a"))
        [message] = await receive(receiver)

        await broker.drop_connections()

        assert queue.locked_count == 1
        await receiver.renew_message_lock(message)
        await receiver.complete_message(message)
        assert queue.messages() == []


async def test_clients_overcome_dropped_connections(client: ServiceBusClient, broker: Broker) -> None:
    async with both_ends(client) as (sender, receiver):
        await sender.send_messages(messages("a"))
        await broker.drop_connections()

        await sender.send_messages(messages("b"))
        received = await receive(receiver, 2)

        assert [message.sequence_number for message in received] == [1, 2]


async def test_restart_keeps_messages_locks_and_numbers(client: ServiceBusClient, broker: Broker, queue: Queue) -> None:
    port = broker.port
    async with both_ends(client) as (sender, receiver):
        await sender.send_messages(messages("a", "b"))
        [message] = await receive(receiver)

        await broker.stop_listening()
        async with connected(broker, retry_total=0) as another:
            with pytest.raises(ServiceBusConnectionError):
                await another.get_queue_sender("q").send_messages(messages("lost"))
        await broker.listen_again()

        assert broker.port == port
        await sender.send_messages(messages("c"))
        await receiver.complete_message(message)
        assert [message.sequence_number for message in queue.messages()] == [2, 3]


async def test_moved_clock_ends_locks_and_brings_scheduled_messages(clock: MovedClock) -> None:
    spec = QueueSpec("q", lock=timedelta(minutes=5))
    async with clean_broker(spec, clock=clock) as broker, connected(broker) as client:
        async with both_ends(client) as (sender, receiver):
            await sender.send_messages(messages("now"))
            await sender.schedule_messages(messages("later"), datetime.now(UTC) + timedelta(hours=1))
            await receive(receiver)
            assert broker.queue("q").locked_count == 1

            clock.move(timedelta(minutes=5))
            [again] = await receive(receiver)
            clock.move(timedelta(hours=1))
            received = await receive(receiver, 2)

    assert (str(again), again.delivery_count) == ("now", 1)
    assert sorted((str(message), message.delivery_count) for message in received) == [("later", 0), ("now", 2)]


async def test_waiting_receiver_is_given_what_a_moved_clock_frees(clock: MovedClock) -> None:
    spec = QueueSpec("q", lock=timedelta(minutes=5))
    async with clean_broker(spec, clock=clock) as broker, connected(broker) as client:
        async with both_ends(client) as (sender, receiver):
            await sender.send_messages(messages("a"))
            await receive(receiver)
            flows = broker.counts["flow"]

            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(receive(receiver))
                await until(lambda: broker.counts["flow"] > flows)
                clock.move(timedelta(minutes=5))

    [message] = waiting.result()
    assert message.delivery_count == 1


async def test_end_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with Broker(QueueSpec("q")) as broker:
        broker.fault("send", Delay(60))
        async with raw_peer(broker) as peer, raw_peer(broker):
            await ready_to_send(peer)
            peer.send(message(1), payload=BODY)
            await until(lambda: broker.counts["sent"])
            await broker.stop_listening()
            await peer.end()

    assert asyncio.all_tasks() == before
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", broker.port)


async def test_what_became_ready_while_it_was_down_does_not_hold_up_what_comes_later(
    client: ServiceBusClient, broker: Broker, queue: Queue
) -> None:
    # Given a lock that ends while the service is down
    async with both_ends(client) as (sender, receiver):
        await sender.send_messages(messages("first"))
        await receive(receiver)
        await broker.stop_listening()
        queue.expire_locks()
        await broker.listen_again()
        assert len(await receive(receiver)) == 1

        # When a message comes for a receiver that waits
        flows = broker.counts["flow"]
        waiting = asyncio.ensure_future(receiver.receive_messages(1, max_wait_time=20))
        await until(lambda: broker.counts["flow"] > flows)
        await sender.send_messages(messages("second"))
        asked = broker.counts["flow"]

        # Then it has it without asking again
        assert len(await waiting) == 1
        assert broker.counts["flow"] == asked
