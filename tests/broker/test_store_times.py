"""What a queue does by the clock: messages that arrive later, that expire, and ids that are remembered for a while."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.broker.clock import MovedClock
from tests.broker.messages import MessageNotFound, QueueSpec
from tests.broker.store import Queue
from tests.broker.store_steps import contents, post, receive, token

SECOND = timedelta(seconds=1)


@pytest.fixture
def queue(clock: MovedClock) -> Queue:
    return Queue(QueueSpec("q"), clock)


def test_scheduled_message_arrives_when_it_is_due_with_a_new_number(queue: Queue, clock: MovedClock) -> None:
    due = clock() + 60
    [number] = post(queue, b"later", due=due)
    post(queue, b"now")

    queue.complete(token(receive(queue)))
    assert queue.lock_next() is None
    assert queue.scheduled_count == 1
    clock.move(timedelta(seconds=60))
    message = receive(queue)

    assert message.posted.content == b"later"
    assert message.sequence_number > number
    assert message.enqueued_at == due


def test_scheduled_messages_arrive_in_the_order_of_their_times(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"third", due=clock() + 3)
    post(queue, b"first", due=clock() + 1)
    post(queue, b"second", due=clock() + 2)

    clock.move(timedelta(seconds=5))

    assert contents(queue.messages()) == [b"first", b"second", b"third"]


def test_cancelled_message_does_not_arrive(queue: Queue, clock: MovedClock) -> None:
    [number] = post(queue, b"later", due=clock() + 60)

    queue.cancel(number)

    clock.move(timedelta(seconds=60))
    assert queue.messages() == []
    with pytest.raises(MessageNotFound):
        queue.cancel(number)


def test_message_that_has_arrived_cannot_be_cancelled(queue: Queue, clock: MovedClock) -> None:
    [number] = post(queue, b"later", due=clock() + 60)
    clock.move(timedelta(seconds=60))

    with pytest.raises(MessageNotFound):
        queue.cancel(number)

    assert queue.active_count == 1


def test_message_that_outlives_its_time_is_dead_lettered(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a", time_to_live=timedelta(seconds=10))
    post(queue, b"b")

    clock.move(timedelta(seconds=10))

    assert contents([receive(queue)]) == [b"b"]
    [dead] = queue.dead_letters.messages()
    assert dead.dead_lettering is not None
    assert dead.dead_lettering.reason == "TTLExpiredException"


def test_message_does_not_expire_while_it_is_locked(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a", time_to_live=timedelta(seconds=10))
    message = receive(queue)
    clock.move(timedelta(seconds=20))
    assert queue.locked_count == 1

    queue.abandon(token(message))

    assert queue.lock_next() is None
    assert queue.dead_letter_count == 1


def test_expired_message_is_dropped_if_the_queue_says_so(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", time_to_live=timedelta(seconds=10), dead_letters_expired=False), clock)
    post(queue, b"a", time_to_live=timedelta(days=1))

    clock.move(timedelta(seconds=10))

    assert (queue.messages(), queue.dead_letter_count, queue.size_bytes) == ([], 0, 0)


def test_scheduled_message_lives_from_when_it_arrives(queue: Queue, clock: MovedClock) -> None:
    post(queue, b"a", due=clock() + 60, time_to_live=timedelta(seconds=10))

    clock.move(timedelta(seconds=69))
    assert queue.active_count == 1
    clock.move(SECOND)

    assert queue.dead_letter_count == 1


def test_jump_of_the_clock_lets_all_happen_in_its_order(queue: Queue, clock: MovedClock) -> None:
    # given: arrives after 10 s, and expires 5 s later; meanwhile another lock runs out
    post(queue, b"locked")
    receive(queue)
    post(queue, b"late", due=clock() + 10, time_to_live=timedelta(seconds=5))

    clock.move(timedelta(days=1))

    assert [message.delivery_count for message in queue.messages()] == [1]
    assert queue.dead_letter_count == 1


def test_duplicate_within_the_window_is_dropped_silently(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", duplicate_window=timedelta(seconds=60)), clock)
    post(queue, b"a", message_id="1")
    clock.move(timedelta(seconds=59))

    post(queue, b"again", message_id="1")
    post(queue, b"other", message_id="2")

    assert contents(queue.messages()) == [b"a", b"other"]


def test_duplicate_is_dropped_though_the_first_is_long_gone(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", duplicate_window=timedelta(seconds=60)), clock)
    post(queue, b"a", message_id="1")
    queue.complete(token(receive(queue)))

    post(queue, b"again", message_id="1")

    assert queue.messages() == []


def test_message_id_is_forgotten_when_the_window_is_over(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", duplicate_window=timedelta(seconds=60)), clock)
    post(queue, b"a", message_id="1")

    clock.move(timedelta(seconds=60))
    post(queue, b"again", message_id="1")

    assert contents(queue.messages()) == [b"a", b"again"]


def test_duplicate_of_a_scheduled_message_is_dropped(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", duplicate_window=timedelta(seconds=60)), clock)
    post(queue, b"a", message_id="1", due=clock() + 10)

    [number] = post(queue, b"again", message_id="1", due=clock() + 10)

    assert contents(queue.messages()) == [b"a"]
    with pytest.raises(MessageNotFound):
        queue.cancel(number)


def test_messages_without_an_id_are_no_duplicates(clock: MovedClock) -> None:
    queue = Queue(QueueSpec("q", duplicate_window=timedelta(seconds=60)), clock)

    post(queue, b"a", b"a")

    assert queue.active_count == 2
