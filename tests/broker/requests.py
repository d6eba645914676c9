"""Pairs of links for requests and replies: those of `$cbs`, and those of the `$management` of each queue."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from tests.broker.envelope import Reply, ReplyWords, Request, encode_reply, read_request
from tests.broker.errors import NOT_ALLOWED, AmqpError, Violation
from tests.broker.faults import Deed, Faults
from tests.broker.fields import Accepted, Outcome
from tests.broker.link import Incoming, Intake, Outgoing, Outlet


class Desk(Protocol):
    """What carries out requests."""

    place: str
    """The path of the address at which it is, in lower case."""
    queue: str
    """The name of the queue it is about."""
    words: ReplyWords

    def operation(self, request: Request) -> str:
        """What faults call it; empty if there is no such operation."""

    def carry_out(self, request: Request) -> Reply:
        """Raises Refused, QueueError, Violation, DecodeError."""

    def refusal(self, error: AmqpError) -> Reply: ...


class Replies:
    """A link on which a peer receives replies: each once there is credit for it, in order."""

    def __init__(self, link: Outlet, place: str) -> None:
        self.place = place
        self._link = link
        self._waiting: deque[bytes] = deque()
        self._sent = 0

    def take(self, reply_to: str | None) -> bool:
        """Whether replies for that address come here; pyamqp names none in requests to `$cbs`."""
        target = self._link.wanted.target
        return reply_to is None or target is None or reply_to == target.address

    def send(self, reply: bytes) -> None:
        self._waiting.append(reply)
        self.credit_changed()

    def credit_changed(self) -> None:
        while self._waiting and self._link.is_attached and self._link.credit > 0:
            self._sent += 1
            self._link.send(self._waiting.popleft(), tag=self._sent.to_bytes(4, "big"), is_settled=True)

    def settled(self, delivery: Outgoing, outcome: Outcome) -> None:
        """Does not happen: replies are sent settled."""

    def detached(self) -> None:
        self._waiting.clear()


class Requests:
    """A link on which a peer sends requests."""

    def __init__(self, link: Intake, desk: Desk, faults: Faults) -> None:
        self._link = link
        self._desk = desk
        self._faults = faults

    def arrived(self, delivery: Incoming) -> None:
        request = read_request(bytes(delivery.content))
        delivery.answer(Accepted())
        replies = self._replies(request)
        desk = self._desk
        self._faults.carry_out(
            Deed(
                desk.operation(request),
                desk.queue,
                self._link.connection,
                do=lambda: desk.carry_out(request),
                answer=lambda reply: replies.send(encode_reply(request, reply, desk.words)),
                refuse=lambda error: replies.send(encode_reply(request, desk.refusal(error), desk.words)),
                link=self._link,
            )
        )

    def detached(self) -> None:
        """Nothing to do: what was asked for is answered as long as somebody receives."""

    def _replies(self, request: Request) -> Replies:
        for link in self._link.session.links:
            spring = link.spring if isinstance(link, Outlet) and link.is_attached else None
            if isinstance(spring, Replies) and spring.place == self._desk.place and spring.take(request.reply_to):
                return spring
        raise Violation(NOT_ALLOWED, f"{self._link}: a request whose reply nobody on the session receives")
