"""Whatever is done to a queue in whatever order: no message is lost, and none is in two places."""

from __future__ import annotations

import uuid
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.broker.clock import MovedClock
from tests.broker.messages import DeadLettering, LockLost, Message, MessageNotFound, Posted, QueueSpec, State
from tests.broker.store import Queue

SPEC = QueueSpec("q", lock=timedelta(seconds=30), max_delivery_count=3, duplicate_window=timedelta(seconds=100))

seconds = st.integers(0, 100).map(lambda number: timedelta(seconds=number))
picks = st.integers(0, 99)


class Interleavings(RuleBasedStateMachine):
    """Senders, receivers and time, against a plain list of what was accepted and what was taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = MovedClock()
        self.queue = Queue(SPEC, self.clock)
        self.accepted: list[bytes] = []
        self.done: list[bytes] = []
        self.held: list[tuple[Queue, Message]] = []
        self.sent = 0

    @rule(count=st.integers(1, 3), delay=st.none() | seconds, life=st.none() | seconds)
    def send(self, count: int, delay: timedelta | None, life: timedelta | None) -> None:
        due = None if delay is None else self.clock() + delay.total_seconds()
        contents = [f"{self.sent + n}".encode() for n in range(count)]
        self.sent += count
        self.queue.send([Posted(content, content.decode(), life, due) for content in contents])
        self.accepted += contents

    @precondition(lambda self: self.accepted)
    @rule()
    def send_again(self) -> None:
        before = len(self.queue.messages())
        repeated = self.accepted[-1]
        # The id alone decides; what the window makes of it is the same for the model, which asks the counts.
        self.queue.send([Posted(repeated, repeated.decode())])
        self.accepted += [repeated] * (len(self.queue.messages()) - before)

    @rule(below=st.booleans())
    def receive(self, below: bool) -> None:
        queue = self.queue.dead_letters if below else self.queue
        message = queue.lock_next()
        if message is not None:
            self.held.append((queue, message))

    @rule()
    def take(self) -> None:
        message = self.queue.take_next()
        if message is not None:
            self.done.append(message.posted.content)

    @precondition(lambda self: self.held)
    @rule(pick=picks, how=st.sampled_from(["abandon", "release", "defer", "renew"]))
    def settle(self, pick: int, how: str) -> None:
        queue, token, _ = self._pick(pick, keeps=how == "renew")
        try:
            getattr(queue, how)(token)
        except LockLost:
            assert token not in self._tokens(queue)

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def complete(self, pick: int) -> None:
        queue, token, content = self._pick(pick, keeps=False)
        try:
            queue.complete(token)
        except LockLost:
            assert token not in self._tokens(queue)
        else:
            self.done.append(content)

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def dead_letter(self, pick: int) -> None:
        queue, token, _ = self._pick(pick, keeps=False)
        try:
            queue.dead_letter(token, why=DeadLettering("tried"))
        except LockLost:
            assert token not in self._tokens(queue)

    @rule(number=st.integers(1, 20))
    def receive_deferred(self, number: int) -> None:
        try:
            [message] = self.queue.receive_deferred(number)
        except MessageNotFound:
            return
        self.held.append((self.queue, message))

    @rule(number=st.integers(1, 20))
    def cancel(self, number: int) -> None:
        scheduled = {message.sequence_number: message for message in self.queue.messages()}
        try:
            self.queue.cancel(number)
        except MessageNotFound:
            return
        assert scheduled[number].state is State.SCHEDULED
        self.done.append(scheduled[number].posted.content)

    @rule(by=seconds)
    def time_passes(self, by: timedelta) -> None:
        self.clock.move(by)

    @rule()
    def locks_end(self) -> None:
        self.queue.expire_locks()

    @invariant()
    def every_message_is_in_one_place(self) -> None:
        kept = self.queue.messages() + self.queue.dead_letters.messages()
        assert sorted([message.posted.content for message in kept] + self.done) == sorted(self.accepted)

    @invariant()
    def every_message_is_in_one_state(self) -> None:
        queue = self.queue
        states = queue.active_count + queue.locked_count + queue.scheduled_count + queue.deferred_count
        assert states == len(queue.messages())

    @invariant()
    def the_size_is_that_of_the_contents(self) -> None:
        kept = self.queue.messages() + self.queue.dead_letters.messages()
        assert self.queue.size_bytes == sum(len(message.posted.content) for message in kept)

    def teardown(self) -> None:
        """What can be received is received, each message once."""
        self.queue.expire_locks()
        active = self.queue.active_count
        assert len([*iter(self.queue.take_next, None)]) == active

    def _pick(self, pick: int, *, keeps: bool) -> tuple[Queue, uuid.UUID, bytes]:
        at = pick % len(self.held)
        queue, message = self.held[at] if keeps else self.held.pop(at)
        assert message.lock is not None
        return queue, message.lock.token, message.posted.content

    def _tokens(self, queue: Queue) -> list[uuid.UUID]:
        return [message.lock.token for message in queue.messages() if message.lock is not None]


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
