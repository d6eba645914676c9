"""What every TicketQueue promises.

Leases that must run out are asked for in whole seconds, as Storage counts them; how long one lasts, its delivery says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from jobq.core.ports import Backlog, Delivery, Stack, TicketQueue
from jobq.errors import LeaseLost, TooLarge
from tests.broker.clock import MovedClock
from tests.contract.conftest import QUEUES
from tests.until import until

pytestmark = pytest.mark.parametrize("stack", QUEUES, indirect=True)

LEASE = timedelta(minutes=5)
SHORT = timedelta(seconds=1)
Receive = Callable[..., Awaitable[list[Delivery]]]


async def _drain(queue: TicketQueue) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while got := await queue.receive(queue.limits.max_receive, lease=LEASE):
        deliveries += got
    return deliveries


async def _one(queue: TicketQueue, lease: timedelta = LEASE) -> Delivery:
    [delivery] = await queue.receive(1, lease=lease)
    return delivery


async def test_queue_that_nobody_has_used_is_empty(queue: TicketQueue) -> None:
    assert await queue.receive(1, lease=LEASE) == []
    assert (await queue.look(0)).messages == 0


async def test_message_that_was_sent_is_received_once(queue: TicketQueue) -> None:
    await queue.send([b"body"])

    delivery = await _one(queue)

    assert (delivery.body, delivery.number) == (b"body", 1)
    assert delivery.message_id
    assert await queue.receive(1, lease=LEASE) == []


async def test_sending_nothing_is_fine(queue: TicketQueue) -> None:
    await queue.send([])

    assert (await queue.look(0)).messages == 0


async def test_receive_answers_at_most_as_many_as_asked_for(queue: TicketQueue) -> None:
    await queue.send([b"%d" % i for i in range(5)])

    first = await queue.receive(3, lease=LEASE)
    rest = await _drain(queue)

    assert 1 <= len(first) <= 3
    assert sorted(delivery.body for delivery in first + rest) == [b"0", b"1", b"2", b"3", b"4"]
    assert len({delivery.message_id for delivery in first + rest}) == 5


async def test_asking_for_more_than_one_receive_can_hold_is_fine(queue: TicketQueue) -> None:
    await queue.send([b"a", b"b"])

    got = await queue.receive(queue.limits.max_receive + 100, lease=LEASE)

    assert {delivery.body for delivery in got + await _drain(queue)} == {b"a", b"b"}


async def test_messages_come_in_the_order_they_were_sent(queue: TicketQueue) -> None:
    await queue.send([b"%03d" % i for i in range(40)])
    await queue.send([b"%03d" % i for i in range(40, 60)])

    bodies = [delivery.body for delivery in await _drain(queue)]

    assert len(bodies) == 60
    assert bodies == sorted(bodies) or not queue.limits.keeps_order


async def test_two_queues_of_a_stack_do_not_mix(stack: Stack, name: str) -> None:
    await stack.queue(name).send([b"mine"])

    assert await stack.queue(f"{name}-lane-1").receive(1, lease=LEASE) == []
    assert (await _one(stack.queue(name))).body == b"mine"


@pytest.mark.parametrize(
    "body",
    [
        bytes(range(32, 127)),
        b"<&>]]><!-- &amp; -->",
        "é 漢字 🚀".encode(),
        b'{"a": "\\u0001"}',
        b" spaces around \n",
        b"MTIz",
        b"=",
    ],
)
async def test_body_comes_back_byte_by_byte(queue: TicketQueue, body: bytes) -> None:
    await queue.send([body])

    delivery = await _one(queue)
    await queue.release(delivery, body + body)

    assert delivery.body == body
    assert (await _one(queue)).body == body + body


async def test_body_of_the_largest_size_is_stored_and_a_larger_one_refused(queue: TicketQueue) -> None:
    piece, size = "<&>0123456789 é".encode(), queue.limits.max_body_bytes
    largest = piece * (size // len(piece)) + b"." * (size % len(piece))

    await queue.send([largest])
    with pytest.raises(TooLarge):
        await queue.send([largest + b"."])
    delivery = await _one(queue)
    with pytest.raises(TooLarge):
        await queue.release(delivery, largest + b".")

    assert delivery.body == largest
    await queue.complete(delivery)


async def test_delayed_message_is_hidden_until_its_time_and_counted(queue: TicketQueue, receive_after: Receive) -> None:
    await queue.send([b"later"], delay=2 * SHORT)

    assert await queue.receive(1, lease=LEASE) == []
    assert (await queue.look(0)).messages == 1
    [delivery] = await receive_after(2 * SHORT, queue, lease=LEASE)
    assert (delivery.body, delivery.number) == (b"later", 1)


async def test_delayed_message_does_not_hold_up_one_sent_after_it(queue: TicketQueue) -> None:
    await queue.send([b"later"], delay=LEASE)
    await queue.send([b"now"])

    assert [delivery.body for delivery in await _drain(queue)] == [b"now"]


async def test_longest_delay_and_longest_lease_are_accepted(queue: TicketQueue) -> None:
    await queue.send([b"later"], delay=queue.limits.max_delay)
    await queue.send([b"now"])

    delivery = await _one(queue, lease=queue.limits.max_lease)
    await queue.release(delivery, b"again", delay=queue.limits.max_delay)

    assert await queue.receive(1, lease=LEASE) == []
    assert (await queue.look(0)).messages == 2


async def test_message_whose_lease_ran_out_comes_again_as_the_same_with_a_higher_number(
    queue: TicketQueue, receive_after: Receive
) -> None:
    await queue.send([b"body"])
    first = await _one(queue, SHORT)

    [second] = await receive_after(first.lease, queue, lease=SHORT)
    [third] = await receive_after(second.lease, queue, lease=LEASE)

    assert {delivery.message_id for delivery in (second, third)} == {first.message_id}
    assert first.number < second.number < third.number
    assert third.body == b"body"


async def test_extended_message_stays_hidden_and_can_be_completed(queue: TicketQueue, receive_after: Receive) -> None:
    # Given a message whose lease is extended when half of it has passed
    await queue.send([b"held"])
    held = await _one(queue, 2 * SHORT)
    half, most = held.lease / 2, held.lease * 3 / 4
    await queue.send([b"half"], delay=half)
    await receive_after(half, queue, lease=LEASE)
    held = await queue.extend(held, lease=LEASE)

    # When its first lease is over
    await queue.send([b"over"], delay=most)
    [other] = await receive_after(most, queue, queue.limits.max_receive, lease=LEASE)

    # Then
    assert other.body == b"over"
    assert (held.body, held.number) == (b"held", 1)
    held = await queue.extend(held, lease=LEASE)
    await queue.complete(held)
    assert (await queue.look(0)).messages == 2


async def test_extension_lasts_from_now_as_long_as_it_says(queue: TicketQueue, receive_after: Receive) -> None:
    await queue.send([b"body"])
    held = await _one(queue, LEASE)

    held = await queue.extend(held, lease=SHORT)

    [again] = await receive_after(held.lease, queue, lease=LEASE)
    assert again.message_id == held.message_id


async def test_completed_message_is_gone_and_completing_it_again_is_fine(queue: TicketQueue) -> None:
    await queue.send([b"body"])
    delivery = await _one(queue)

    await queue.complete(delivery)
    await queue.complete(delivery)

    assert (await queue.look(0)).messages == 0
    assert await queue.receive(1, lease=LEASE) == []


async def test_released_message_comes_back_with_new_content(queue: TicketQueue) -> None:
    await queue.send([b"old"])
    first = await _one(queue)

    await queue.release(first, b"new")

    second = await _one(queue)
    assert second.body == b"new"
    assert (await queue.look(0)).messages == 1


async def test_message_given_back_as_it_came_stays_the_same_message(queue: TicketQueue) -> None:
    """By its id a job knows the ticket under which it was claimed."""
    await queue.send([b"body"])
    first = await _one(queue)

    await queue.release(first, first.body)

    second = await _one(queue)
    assert (second.message_id, second.number, second.body) == (first.message_id, 2, b"body")


async def test_released_message_waits_for_its_delay(queue: TicketQueue, receive_after: Receive) -> None:
    await queue.send([b"old"])

    await queue.release(await _one(queue), b"new", delay=2 * SHORT)

    assert await queue.receive(1, lease=LEASE) == []
    [delivery] = await receive_after(2 * SHORT, queue, lease=LEASE)
    assert delivery.body == b"new"


async def test_released_message_goes_to_the_end_of_a_queue_that_keeps_order(queue: TicketQueue) -> None:
    await queue.send([b"a", b"b"])
    first = await _one(queue)

    await queue.release(first, first.body + b" again")

    bodies = [delivery.body for delivery in await _drain(queue)]
    other = ({b"a", b"b"} - {first.body}).pop()
    assert sorted(bodies) == sorted([other, first.body + b" again"])
    assert bodies == [b"b", b"a again"] or not queue.limits.keeps_order


async def test_delivery_cannot_be_used_after_a_release(queue: TicketQueue) -> None:
    await queue.send([b"old"])
    delivery = await _one(queue)
    await queue.release(delivery, b"new")

    with pytest.raises(LeaseLost):
        await queue.extend(delivery, lease=LEASE)
    with pytest.raises(LeaseLost):
        await queue.release(delivery, b"newer")

    assert (await _one(queue)).body == b"new"


async def test_nothing_can_be_done_with_a_message_that_another_received(
    queue: TicketQueue, receive_after: Receive
) -> None:
    await queue.send([b"body"])
    stale = await _one(queue, SHORT)
    [held] = await receive_after(stale.lease, queue, lease=LEASE)

    with pytest.raises(LeaseLost):
        await queue.extend(stale, lease=LEASE)
    with pytest.raises(LeaseLost):
        await queue.release(stale, b"stale")
    with pytest.raises(LeaseLost):
        await queue.complete(stale)

    held = await queue.extend(held, lease=LEASE)
    assert (await queue.look(0)).messages == 1
    await queue.complete(held)
    assert (await queue.look(0)).messages == 0


async def test_concurrent_receivers_never_get_the_same_message(stack: Stack, name: str) -> None:
    sent = {b"%03d" % i for i in range(120)}
    await stack.queue(name).send(sorted(sent))

    got = await asyncio.gather(*(_drain(stack.queue(name)) for _ in range(6)))

    deliveries = [delivery for mine in got for delivery in mine]
    assert len(deliveries) == len(sent)
    assert {delivery.body for delivery in deliveries} == sent


async def test_concurrent_sends_are_all_stored(queue: TicketQueue) -> None:
    await asyncio.gather(*(queue.send([b"%d-%d" % (i, j) for j in range(10)]) for i in range(6)))

    bodies = {delivery.body for delivery in await _drain(queue)}

    assert bodies == {b"%d-%d" % (i, j) for i in range(6) for j in range(10)}


async def test_look_counts_waiting_held_and_delayed_messages(queue: TicketQueue) -> None:
    await queue.send([b"waiting", b"held"])
    await queue.send([b"delayed"], delay=LEASE)
    await _one(queue)

    assert (await queue.look(0)).messages == 3


async def test_look_shows_what_waits_and_leaves_it_to_whoever_receives(queue: TicketQueue) -> None:
    await queue.send([b"later"], delay=LEASE)
    await queue.send([b"a", b"<&>\xc3\xa9"])

    backlog = await queue.look(5)

    assert sorted(waiting.body for waiting in backlog.first) == [b"<&>\xc3\xa9", b"a"]
    assert [delivery.number for delivery in await _drain(queue)] == [1, 1]


async def test_look_shows_at_most_as_many_as_asked_for_those_first_in_line(queue: TicketQueue) -> None:
    await queue.send([b"later"] * 3, delay=LEASE)
    await queue.send([b"%03d" % i for i in range(queue.limits.max_receive + 10)])

    counted, some = await queue.look(0), await queue.look(3)
    many = await queue.look(queue.limits.max_receive + 5)

    assert counted.first == ()
    assert [waiting.body for waiting in some.first] == [b"000", b"001", b"002"] or not queue.limits.keeps_order
    assert (len(some.first), len(many.first)) == (3, queue.limits.max_receive)
    assert some.messages == counted.messages == queue.limits.max_receive + 13


async def test_look_tells_how_long_a_message_has_waited(queue: TicketQueue, clock: MovedClock) -> None:
    await queue.send([b"body"])
    before = (await queue.look(1)).first[0].age

    clock.move(2 * SHORT)

    async def has_aged() -> bool:
        return (await queue.look(1)).first[0].age >= 2 * SHORT

    assert timedelta(0) <= before < LEASE
    await until(has_aged)


async def test_look_at_a_queue_that_nobody_has_used_shows_nothing(queue: TicketQueue) -> None:
    assert await queue.look(5) == Backlog(0)
