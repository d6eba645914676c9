"""What the Service Bus adapter makes of a broker in trouble: the real SDK, on connections that break and answers that
do not come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from jobq.adapters import service_bus_client, service_bus_receiver
from jobq.adapters.service_bus import ServiceBusQueue
from jobq.adapters.service_bus_client import BusClient
from jobq.core.ports import Delivery
from jobq.errors import LeaseLost, NotAllowed, NotFound, ReplyLost, TooLarge, Unreachable
from tests.broker import DETACH, DROP_AFTER, DROP_BEFORE, IGNORE, LOSE_REPLY, Break, Broker, QueueSpec, Refuse
from tests.broker.clock import MovedClock
from tests.until import until

LEASE = timedelta(minutes=5)
WAIT = timedelta(seconds=10)
BUSY = Refuse("com.microsoft:server-busy", "The request was throttled.")
CUTS = pytest.mark.parametrize("cut", [DROP_BEFORE, DROP_AFTER, DETACH], ids=lambda cut: cut.name.lower())


@pytest.fixture
def queues() -> QueueSpec:
    """With duplicate detection, so that what the SDK sends again is stored once."""
    return QueueSpec("any", lock=timedelta(minutes=1), max_delivery_count=3, duplicate_window=timedelta(minutes=10))


@pytest.fixture
async def queue(broker: Broker) -> AsyncIterator[ServiceBusQueue]:
    queue = queue_on(broker)
    yield queue
    await queue.close()


@pytest.fixture
async def other(broker: Broker) -> AsyncIterator[ServiceBusQueue]:
    """The same queue, for another process."""
    other = queue_on(broker)
    yield other
    await other.close()


def queue_on(broker: Broker, name: str = "exp7") -> ServiceBusQueue:
    return ServiceBusQueue(BusClient.from_connection_string("lab", broker.connection_string), name)


@pytest.fixture
def is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_bus_client, "CALL_SECONDS", 2.0)


async def one(queue: ServiceBusQueue) -> Delivery:
    [delivery] = await queue.receive(1, lease=LEASE, wait=WAIT)
    return delivery


async def test_throttled_send_is_tried_again_and_stored_once(broker: Broker, queue: ServiceBusQueue) -> None:
    broker.fault("send", BUSY, times=2)

    await queue.send([b"a", b"b"])

    assert broker.queue("exp7").active_count == 2
    assert broker.faults_left == 0


@CUTS
async def test_send_on_a_connection_that_breaks_is_sent_again(
    broker: Broker, queue: ServiceBusQueue, cut: Break
) -> None:
    broker.fault("send", cut)

    await queue.send([b"a", b"b"])

    assert broker.queue("exp7").active_count == 2


@CUTS
async def test_completion_on_a_connection_that_breaks_is_applied_once(
    broker: Broker, queue: ServiceBusQueue, cut: Break
) -> None:
    """Where it was applied before the answer was lost, asking again finds the lock gone: the row decides then."""
    await queue.send([b"body"])
    held = await one(queue)
    broker.fault("complete", cut)

    if cut is DROP_AFTER:
        with pytest.raises(LeaseLost):
            await queue.complete(held)
    else:
        await queue.complete(held)

    assert broker.counts["completed"] == 1
    assert (await queue.look(0)).messages == 0


@pytest.mark.usefixtures("is_impatient")
@pytest.mark.parametrize("silence", [LOSE_REPLY, IGNORE], ids=lambda silence: silence.name.lower())
async def test_completion_that_nobody_answers_is_a_lost_reply_and_the_next_call_works(
    broker: Broker, queue: ServiceBusQueue, silence: Break
) -> None:
    await queue.send([b"a", b"b"])
    first, second = [await one(queue), await one(queue)]
    broker.fault("complete", silence)

    with pytest.raises(ReplyLost):
        await queue.complete(first)
    await queue.complete(second)

    assert (await queue.look(0)).messages == (0 if silence is LOSE_REPLY else 1)


@CUTS
async def test_renewal_on_a_connection_that_breaks_is_repeated(
    broker: Broker, queue: ServiceBusQueue, cut: Break
) -> None:
    """The lock has the same token afterwards, so nothing is lost with a reply, as it is on Storage."""
    await queue.send([b"body"])
    held = await one(queue)
    broker.fault("renew-lock", cut)

    held = await queue.extend(held, lease=LEASE)
    await queue.complete(held)

    assert held.lease > timedelta(seconds=50)
    assert broker.counts["completed"] == 1


async def test_what_was_received_before_the_connection_broke_can_be_renewed_and_settled(
    broker: Broker, queue: ServiceBusQueue
) -> None:
    await queue.send([b"a", b"b", b"c"])
    a, b, c = [await one(queue) for _ in range(3)]

    await broker.drop_connections()

    a = await queue.extend(a, lease=LEASE)
    await asyncio.gather(queue.complete(a), queue.complete(b))
    await queue.release(c, b"c again")
    assert (await one(queue)).body == b"c again"
    assert (await queue.look(0)).messages == 1


async def test_receiver_that_waits_goes_on_after_its_connection_broke(broker: Broker, queue: ServiceBusQueue) -> None:
    # Given a receiver that waits
    waiting = asyncio.ensure_future(queue.receive(1, lease=LEASE, wait=timedelta(seconds=30)))
    await until(lambda: broker.counts["flow"])

    # When its connection breaks, and a message comes
    await broker.drop_connections()
    await queue.send([b"body"])

    # Then it has it, and nobody had it before
    [delivery] = await waiting
    assert delivery.number == 1


async def test_service_that_restarts_is_unreachable_meanwhile_and_keeps_everything(
    broker: Broker, queue: ServiceBusQueue
) -> None:
    # Given a held message and one that waits
    await queue.send([b"held", b"waits"])
    held = await one(queue)

    # When the service is down
    await broker.stop_listening()
    with pytest.raises(Unreachable):
        await queue.receive(1, lease=LEASE)
    with pytest.raises(Unreachable):
        await queue.extend(held, lease=LEASE)
    with pytest.raises(Unreachable):
        await queue.send([b"more"])

    # Then all is as it was when it is up again
    await broker.listen_again()
    held = await queue.extend(held, lease=LEASE)
    assert (await one(queue)).body == b"waits"
    await queue.complete(held)
    assert (await queue.look(0)).messages == 1


@CUTS
async def test_release_on_a_connection_that_breaks_leaves_a_message(
    broker: Broker, queue: ServiceBusQueue, cut: Break
) -> None:
    """The new one is sent before the old one goes: one too many is harmless, one too few would be a lost job."""
    await queue.send([b"old"])
    held = await one(queue)
    broker.fault("complete", cut)

    if cut is DROP_AFTER:
        with pytest.raises(LeaseLost):
            await queue.release(held, b"new")
    else:
        await queue.release(held, b"new")

    again = await one(queue)
    assert (again.body, again.number) == (b"new", 2)


async def test_put_back_message_counts_its_deliveries_on(queue: ServiceBusQueue) -> None:
    await queue.send([b"body"])

    numbers = []
    for _ in range(4):
        held = await one(queue)
        numbers.append(held.number)
        await queue.release(held, held.body + b".")

    assert numbers == [1, 2, 3, 4]


async def test_lock_that_ended_is_lost_whatever_is_asked(broker: Broker, queue: ServiceBusQueue) -> None:
    await queue.send([b"a", b"b", b"c"])
    a, b, c = [await one(queue) for _ in range(3)]
    broker.queue("exp7").expire_locks()

    with pytest.raises(LeaseLost):
        await queue.extend(a, lease=LEASE)
    with pytest.raises(LeaseLost):
        await queue.complete(b)
    with pytest.raises(LeaseLost):
        await queue.release(c, b"c")
    with pytest.raises(LeaseLost):
        await queue.complete(a)


async def test_message_that_its_holder_left_without_a_word_is_not_kept_for_ever() -> None:
    # Given a message that somebody has received and left
    clock = MovedClock()
    async with Broker(template=QueueSpec("any"), clock=clock) as broker:
        client = BusClient.from_connection_string("lab", broker.connection_string, clock)
        queue = ServiceBusQueue(client, "exp7")
        await queue.send([b"body"])
        left = await one(queue)

        # When its lock is long over, and it comes again
        clock.move(timedelta(hours=1))
        again = await one(queue)
        await queue.complete(again)

        # Then nothing can be done with what was left
        assert again.number == 2
        with pytest.raises(LeaseLost):
            await queue.complete(left)
        await queue.close()
        assert broker.violations == []


async def test_link_that_has_asked_much_is_replaced_before_the_sdk_waits_in_vain(
    broker: Broker, queue: ServiceBusQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_bus_receiver, "MOST_REQUESTS", 3)
    await queue.send([b"body"])
    held = await one(queue)

    for _ in range(10):
        held = await queue.extend(held, lease=LEASE)
    await queue.complete(held)

    assert broker.counts["renewed"] == 10
    assert broker.counts["connections"] == 2 + 2
    assert (await queue.look(0)).messages == 0


async def test_message_for_somebody_who_has_stopped_asking_goes_to_another_and_counts_as_never_delivered(
    broker: Broker, queue: ServiceBusQueue, other: ServiceBusQueue
) -> None:
    # Given one that has asked, in vain, and asks no more
    assert await queue.receive(1, lease=LEASE) == []

    # When a message comes, and lands there, and another one asks
    await other.send([b"body"])
    asked_at = time.monotonic()
    [delivery] = await other.receive(1, lease=LEASE, wait=WAIT)

    # Then that one has it soon: the first has taken back its leave to send, before the SDK's own 3.5 s are over
    assert delivery.number == 1
    assert broker.counts["drained"] >= 1
    assert time.monotonic() - asked_at < 4
    assert broker.counts["abandoned"] == 0


async def test_receive_that_is_cancelled_takes_nothing(broker: Broker, queue: ServiceBusQueue) -> None:
    receiving = asyncio.ensure_future(queue.receive(1, lease=LEASE, wait=timedelta(seconds=60)))
    await until(lambda: broker.counts["flow"])

    receiving.cancel()
    await asyncio.wait([receiving])
    await queue.send([b"body"])

    assert receiving.cancelled()
    assert (await one(queue)).number == 1


async def test_holder_that_waits_for_more_can_still_settle_and_renew(queue: ServiceBusQueue) -> None:
    # Given a receiver that holds one message, and waits for another
    await queue.send([b"held"])
    held = await one(queue)
    waiting = asyncio.ensure_future(queue.receive(8, lease=LEASE, wait=timedelta(seconds=60)))

    # When it settles what it holds
    began_at = time.monotonic()
    held = await queue.extend(held, lease=LEASE)
    await queue.complete(held)

    # Then it need not wait for the other
    assert time.monotonic() - began_at < 2
    assert not waiting.done()
    waiting.cancel()


async def test_message_given_up_by_the_broker_is_in_the_queue_of_dead_letters_with_the_reason(
    broker: Broker, queue: ServiceBusQueue
) -> None:
    # Given a message whose lock runs out as often as the queue allows
    await queue.send([b"ticket"])
    first = await one(queue)
    for _ in range(2):
        broker.queue("exp7").expire_locks()
        await one(queue)
    broker.queue("exp7").expire_locks()

    # When the queue of dead letters is asked
    dead = queue_on(broker, "exp7" + queue.limits.dead_letters)
    letter = await one(dead)

    # Then it is there, known by what it was
    assert (letter.body, letter.message_id) == (b"ticket", first.message_id)
    assert letter.dead_reason.startswith("MaxDeliveryCountExceeded")
    await dead.complete(letter)
    assert (await dead.look(0)).messages == 0
    await dead.close()


async def test_queue_that_does_not_exist_is_not_found_and_the_fix_is_named() -> None:
    async with Broker(QueueSpec("exp7")) as broker:
        queue = queue_on(broker, "exp7-lane-1")

        with pytest.raises(
            NotFound, match=r"namespace lab has no queue exp7-lane-1.*`realms` and `lanes`.*az servicebus queue"
        ):
            await queue.send([b"body"])
        with pytest.raises(NotFound, match="exp7-lane-1: could not send"):
            await queue.open()
        with pytest.raises(NotFound, match="exp7-lane-1"):
            await queue.receive(1, lease=LEASE)

        await queue.close()
        assert broker.violations == []


@pytest.mark.parametrize(
    ("condition", "said"), [("amqp:unauthorized-access", "Listen"), ("com.microsoft:auth-failed", "Listen")]
)
async def test_refused_caller_is_told_what_is_missing(
    broker: Broker, queue: ServiceBusQueue, condition: str, said: str
) -> None:
    broker.fault("attach", Refuse(condition), times=99)

    with pytest.raises(NotAllowed, match=f"namespace lab does not allow to receive messages.*{said}"):
        await queue.receive(1, lease=LEASE)
    with pytest.raises(NotAllowed, match=r"namespace lab does not allow to send messages.*Send"):
        await queue.send([b"body"])


async def test_queue_that_is_full_or_disabled_is_named_and_nothing_is_said_to_be_stored() -> None:
    specs = (QueueSpec("full", max_bytes=1000), QueueSpec("closed", is_disabled=True))
    async with Broker(*specs) as broker:
        full, closed = queue_on(broker, "full"), queue_on(broker, "closed")

        with pytest.raises(Unreachable, match="queue full of Service Bus namespace lab is full"):
            await full.send([b"x" * 600, b"x" * 600])
        with pytest.raises(NotAllowed, match="queue closed of Service Bus namespace lab is disabled"):
            await closed.send([b"body"])

        await asyncio.gather(full.close(), closed.close())
        assert broker.violations == []


async def test_message_over_what_the_queue_takes_is_too_large(broker: Broker) -> None:
    async with Broker(QueueSpec("small", max_message_bytes=10_000)) as broker:
        queue = queue_on(broker, "small")

        with pytest.raises(TooLarge):
            await queue.send([b"x", b"x" * 20_000])

        await queue.close()
        assert broker.violations == []


async def test_thousand_messages_of_all_sizes_arrive_in_batches_that_the_queue_takes(
    broker: Broker, queue: ServiceBusQueue
) -> None:
    bodies = [b"%04d" % n + b"x" * (n * 97 % 3000) for n in range(1000)]

    await queue.send(bodies)

    received: list[bytes] = []
    while deliveries := await queue.receive(32, lease=LEASE):
        received += [delivery.body for delivery in deliveries]
        await asyncio.gather(*(queue.complete(delivery) for delivery in deliveries))
    assert sorted(received) == bodies
    assert broker.counts["transfer-in"] < 20
