"""The rules of a queue by themselves, without AMQP: who holds which message, and what becomes of it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.broker.clock import MovedClock
from tests.broker.messages import (
    DeadLettering,
    LockLost,
    MessageTooLarge,
    QueueFull,
    QueueSpec,
    State,
)
from tests.broker.store import Queue
from tests.broker.store_steps import contents, post, receive, token

LOCK = timedelta(seconds=30)
SECOND = timedelta(seconds=1)
NEARLY = LOCK - SECOND

Settle = Callable[[Queue, uuid.UUID], None]


@pytest.fixture
def queue(clock: MovedClock) -> Queue:
    return Queue(QueueSpec("q", lock=LOCK, max_delivery_count=3), clock)


def test_messages_come_in_the_order_in_which_they_were_sent(queue: Queue) -> None:
    post(queue, b"a", b"b")
    post(queue, b"c")

    received = [receive(queue) for _ in range(3)]

    assert contents(received) == [b"a", b"b", b"c"]
    assert [message.sequence_number for message in received] == [1, 2, 3]
    assert queue.lock_next() is None


def test_locked_message_is_nobody_elses(queue: Queue) -> None:
    post(queue, b"a")
    receive(queue)

    assert queue.lock_next() is None
    assert (queue.active_count, queue.locked_count) == (0, 1)


def test_completed_message_is_gone(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a")
    message = receive(queue)

    queue.complete(token(message))

    clock.move(2 * LOCK)
    assert queue.messages() == []
    assert queue.size_bytes == 0


def test_lock_that_runs_out_puts_the_message_back_and_counts(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a", b"b")
    lost = receive(queue)

    clock.move(LOCK)

    again = receive(queue)
    assert (again.sequence_number, again.delivery_count) == (lost.sequence_number, 1)
    with pytest.raises(LockLost):
        queue.complete(token(lost))


def test_message_is_held_until_just_before_its_lock_ends(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a")
    message = receive(queue)

    clock.move(NEARLY)

    assert queue.lock_next() is None
    queue.complete(token(message))


def test_renewal_lasts_a_whole_lock_from_now(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a")
    message = receive(queue)
    clock.move(NEARLY)

    until = queue.renew(token(message))

    assert until == clock() + LOCK.total_seconds()
    clock.move(NEARLY)
    assert queue.lock_next() is None
    clock.move(SECOND)
    assert receive(queue).delivery_count == 1


def test_lost_lock_cannot_be_renewed(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a")
    message = receive(queue)
    clock.move(LOCK)

    with pytest.raises(LockLost):
        queue.renew(token(message))


def test_if_one_of_several_locks_is_lost_none_is_settled(queue: Queue) -> None:
    post(queue, b"a", b"b")
    first, second = receive(queue), receive(queue)
    queue.complete(token(first))

    with pytest.raises(LockLost):
        queue.abandon(token(second), token(first))

    assert queue.locked_count == 1


def test_token_that_is_given_twice_settles_once(queue: Queue) -> None:
    post(queue, b"a")
    held = token(receive(queue))

    queue.renew(held, held)
    queue.defer(held, held)
    [again] = queue.receive_deferred(1, 1)
    queue.complete(token(again), token(again))

    assert queue.messages() == []


@pytest.mark.parametrize(("settle", "failed"), [(Queue.abandon, 1), (Queue.release, 0)], ids=["abandon", "release"])
def test_returned_message_takes_its_old_place(queue: Queue, settle: Settle, failed: int) -> None:
    post(queue, b"a", b"b")
    message = receive(queue)

    settle(queue, token(message))

    again = receive(queue)
    assert (again.posted.content, again.delivery_count) == (b"a", failed)


def test_message_taken_without_a_lock_is_gone(queue: Queue) -> None:
    post(queue, b"a")

    taken = queue.take_next()

    assert taken is not None
    assert queue.messages() == []
    assert queue.take_next() is None


def test_peek_shows_all_states_from_a_number_on(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"deferred", b"locked", b"active")
    queue.defer(token(receive(queue)))
    receive(queue)
    post(queue, b"scheduled", due=clock() + 60)

    assert [message.state for message in queue.peek(1, 9)] == [
        State.DEFERRED,
        State.ACTIVE,
        State.ACTIVE,
        State.SCHEDULED,
    ]
    assert contents(queue.peek(2, 2)) == [b"locked", b"active"]
    assert queue.peek(5, 9) == []


def test_too_large_message_takes_its_whole_batch_with_it(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", max_message_bytes=10), clock)

    with pytest.raises(MessageTooLarge):
        post(queue, b"small", b"large" * 3)

    assert queue.messages() == []


def test_full_queue_takes_nothing_until_there_is_room(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", max_bytes=10), clock)
    post(queue, b"12345678")

    with pytest.raises(QueueFull):
        post(queue, b"123")

    queue.complete(token(receive(queue)))
    post(queue, b"123")
    assert queue.size_bytes == 3


def test_test_can_end_a_lock(queue: Queue) -> None:
    post(queue, b"a", b"b")
    first, second = receive(queue), receive(queue)

    queue.expire_lock(token(first))
    queue.expire_lock(second.sequence_number)

    assert [receive(queue).delivery_count for _ in range(2)] == [1, 1]


def test_test_can_end_all_locks(queue: Queue) -> None:
    post(queue, b"a", b"b")
    receive(queue)
    receive(queue)

    queue.expire_locks()

    assert queue.active_count == 2
    with pytest.raises(LockLost):
        queue.expire_lock(1)


def test_queue_says_when_a_message_can_be_received(clock: MovedClock) -> None:
    said: list[str] = []
    queue = Queue(QueueSpec("q", lock=LOCK), clock, on_active=lambda queue: said.append(queue.spec.name))
    post(queue, b"a")
    message = receive(queue)
    said.clear()

    queue.abandon(token(message))
    queue.dead_letter(token(receive(queue)), why=DeadLettering())

    assert said == ["q", "q/$DeadLetterQueue"]


def test_everything_is_counted(clock: MovedClock) -> None:
    counts: Counter[str] = Counter()
    queue = Queue(QueueSpec("q", lock=LOCK, max_delivery_count=2), clock, counts=counts)
    post(queue, b"a", b"b", b"c")
    queue.complete(token(receive(queue)))
    queue.abandon(token(receive(queue)))
    receive(queue)
    clock.move(LOCK)
    queue.peek(1, 5)

    assert counts == {
        "sent": 3,
        "delivered": 3,
        "completed": 1,
        "abandoned": 1,
        "lock-expired": 1,
        "dead-lettered": 1,
        "peeked": 1,
    }
