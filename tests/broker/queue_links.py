"""What is behind links to queues: taking messages from senders, giving them to receivers, settling them."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable
from functools import partial

from tests.broker.envelope import BATCH_FORMAT, delivered, posted
from tests.broker.errors import MESSAGE_TOO_LARGE, Refused
from tests.broker.faults import Deed, Faults
from tests.broker.fields import Accepted, Modified, Outcome, Rejected, Released
from tests.broker.link import Incoming, Intake, Outgoing, Outlet
from tests.broker.messages import DeadLettering, Message
from tests.broker.sections import batched
from tests.broker.store import Queue


class Sender:
    """A link on which a peer sends to a queue."""

    def __init__(self, link: Intake, queue: Queue, faults: Faults) -> None:
        self._link = link
        self._queue = queue
        self._faults = faults

    def arrived(self, delivery: Incoming) -> None:
        self._faults.carry_out(
            Deed(
                "send",
                self._queue.spec.name,
                self._link.connection,
                do=lambda: self._send(delivery),
                answer=lambda done: delivery.answer(Accepted()),
                refuse=lambda error: delivery.answer(Rejected(error)),
                link=self._link,
            )
        )

    def detached(self) -> None:
        """Nothing to do: what was sent stays."""

    def _send(self, delivery: Incoming) -> None:
        content, limit = bytes(delivery.content), self._queue.spec.max_message_bytes
        if len(content) > limit:  # a batch counts as one message here
            raise Refused(MESSAGE_TOO_LARGE, f"The received message of {len(content)} bytes exceeds the limit {limit}.")
        is_batch = delivery.first.message_format == BATCH_FORMAT
        self._queue.send([posted(one) for one in (batched(content) if is_batch else [content])])


class Lineup:
    """The receivers of a queue that have credit. They take turns."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._receivers: deque[Receiver] = deque()

    def join(self, receiver: Receiver) -> None:
        if receiver not in self._receivers:
            self._receivers.append(receiver)

    def leave(self, receiver: Receiver) -> None:
        if receiver in self._receivers:
            self._receivers.remove(receiver)

    def deliver(self) -> None:
        """Give out what can be received, as far as there is credit."""
        while self._receivers and self.queue.has_active:
            receiver = self._receivers[0]
            if receiver.has_credit:
                self._receivers.rotate(-1)
                receiver.connection.run(receiver.give_next)
            else:
                self._receivers.popleft()


class Receiver:
    """A link on which a peer receives from a queue."""

    def __init__(self, link: Outlet, lineup: Lineup, faults: Faults) -> None:
        self.connection = link.connection
        self._link = link
        self._lineup = lineup
        self._queue = lineup.queue
        self._faults = faults
        self._deletes = link.wanted.snd_settle_mode == 1
        """Without a lock: a message is gone when it is sent."""

    @property
    def has_credit(self) -> bool:
        return self._link.is_attached and self._link.credit > 0

    def credit_changed(self) -> None:
        if self._link.credit > 0:
            self._lineup.join(self)
            self._lineup.deliver()

    def detached(self) -> None:
        """What it holds stays locked until the locks run out."""
        self._lineup.leave(self)

    def give_next(self) -> None:
        self._faults.carry_out(
            Deed(
                "deliver",
                self._queue.spec.name,
                self._link.connection,
                do=self._take,
                answer=self._give,
                refuse=lambda error: None,
                link=self._link,
            )
        )

    def settled(self, delivery: Outgoing, outcome: Outcome) -> None:
        token = uuid.UUID(bytes_le=delivery.tag)
        operation, settle, echo = self._settlement(outcome)
        self._faults.carry_out(
            Deed(
                operation,
                self._queue.spec.name,
                self._link.connection,
                do=lambda: settle(token),
                answer=lambda done: delivery.answer(echo),
                refuse=lambda error: delivery.answer(Rejected(error)),
                link=self._link,
            )
        )

    def _take(self) -> Message | None:
        return self._queue.take_next() if self._deletes else self._queue.lock_next()

    def _give(self, message: Message | None) -> None:
        if message is None:
            return
        if self.has_credit:
            tag = (message.lock.token if message.lock else uuid.uuid4()).bytes_le
            self._link.send(delivered(message), tag=tag, is_settled=self._deletes)
        elif message.lock is not None:
            self._queue.release(message.lock.token)  # a delayed delivery, and the credit is gone meanwhile

    def _settlement(self, outcome: Outcome) -> tuple[str, Callable[[uuid.UUID], None], Outcome]:
        """The name of the operation, what it does with a lock, and the outcome that confirms it."""
        match outcome:
            case Accepted():
                return "complete", self._queue.complete, outcome
            case Released():
                return "release", self._queue.release, outcome
            case Modified(undeliverable_here=True):
                return "defer", self._queue.defer, outcome
            case Modified():
                return "abandon", self._queue.abandon, outcome
            case Rejected(_, info):
                why = DeadLettering(_text(info.get("DeadLetterReason")), _text(info.get("DeadLetterErrorDescription")))
                # An error in the confirmation would mean that it failed.
                return "dead-letter", partial(self._queue.dead_letter, why=why), Rejected()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
