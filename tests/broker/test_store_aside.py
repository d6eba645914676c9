"""Messages that a queue sets aside: deferred ones and dead letters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.broker.clock import MovedClock
from tests.broker.messages import DeadLettering, MessageNotFound, QueueFull, QueueSpec
from tests.broker.store import Queue
from tests.broker.store_steps import contents, post, receive, token

LOCK = timedelta(seconds=30)
SECOND = timedelta(seconds=1)


@pytest.fixture
def queue(clock: MovedClock) -> Queue:
    return Queue(QueueSpec("q", lock=LOCK, max_delivery_count=3), clock)


def test_message_that_failed_too_often_is_dead_lettered(queue: Queue) -> None:
    post(queue, b"a")
    for _ in range(2):
        queue.abandon(token(receive(queue)))
    last = receive(queue)

    queue.abandon(token(last))

    [dead] = queue.dead_letters.messages()
    assert queue.messages() == []
    assert dead.dead_lettering is not None
    assert dead.dead_lettering.reason == "MaxDeliveryCountExceeded"
    assert (dead.sequence_number, dead.enqueued_at, dead.delivery_count) == (1, last.enqueued_at, 3)


def test_message_whose_lock_ran_out_too_often_is_dead_lettered(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a")
    for _ in range(3):
        receive(queue)
        clock.move(LOCK)

    assert queue.lock_next() is None
    assert queue.dead_letter_count == 1


def test_dead_lettered_message_keeps_number_and_reason(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a", b"b")
    receive(queue)
    message = receive(queue)
    clock.move(SECOND)

    queue.dead_letter(token(message), why=DeadLettering("why", "because"))

    dead = receive(queue.dead_letters)
    assert dead.dead_lettering == DeadLettering("why", "because")
    assert (dead.sequence_number, dead.enqueued_at) == (2, message.enqueued_at)


def test_dead_letter_queue_never_gives_a_message_up(queue: Queue) -> None:
    post(queue, b"a")
    queue.dead_letter(token(receive(queue)), why=DeadLettering())
    dead = queue.dead_letters

    for _ in range(5):
        dead.abandon(token(receive(dead)))

    assert receive(dead).delivery_count == 5


def test_deferred_message_comes_by_its_number_only(queue: Queue) -> None:
    post(queue, b"a")
    message = receive(queue)

    queue.defer(token(message))

    assert queue.lock_next() is None
    assert queue.deferred_count == 1
    [held] = queue.receive_deferred(1)
    assert held.delivery_count == 0
    queue.complete(token(held))
    assert queue.messages() == []


def test_deferred_message_that_is_abandoned_stays_deferred(queue: Queue) -> None:
    post(queue, b"a")
    queue.defer(token(receive(queue)))
    [held] = queue.receive_deferred(1)

    queue.abandon(token(held))

    assert queue.lock_next() is None
    [again] = queue.receive_deferred(1)
    assert again.delivery_count == 1


def test_deferred_message_can_be_taken_without_a_lock(queue: Queue) -> None:
    post(queue, b"a")
    queue.defer(token(receive(queue)))

    taken = queue.receive_deferred(1, locks=False)

    assert contents(taken) == [b"a"]
    assert queue.messages() == []


@pytest.mark.parametrize("numbers", [(1,), (2,), (2, 3), (9,)])
def test_only_deferred_messages_come_by_number(queue: Queue, numbers: tuple[int, ...]) -> None:
    post(queue, b"active", b"deferred and locked", b"deferred")
    held = [receive(queue) for _ in range(3)]
    queue.abandon(token(held[0]))
    queue.defer(token(held[1]), token(held[2]))
    queue.receive_deferred(2)

    with pytest.raises(MessageNotFound):
        queue.receive_deferred(*numbers)

    assert queue.deferred_count == 1


def test_dead_letters_take_room_in_their_queue(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", max_bytes=10), clock)
    post(queue, b"12345678")
    queue.dead_letter(token(receive(queue)), why=DeadLettering())

    with pytest.raises(QueueFull):
        post(queue, b"123")
