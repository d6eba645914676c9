"""The broker's ends of links: `Intake` where the peer sends, `Outlet` where the peer receives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from tests.broker.errors import INVALID_FIELD, NOT_ALLOWED, TRANSFER_LIMIT, AmqpError, Violation
from tests.broker.fields import Outcome
from tests.broker.performatives import Attach, Detach, Disposition, Flow, Transfer

if TYPE_CHECKING:
    from tests.broker.session import Session

GRANT = 1000
"""How many messages a peer may send before it hears of more credit."""


class Sink(Protocol):
    """What takes the messages of an intake."""

    def arrived(self, delivery: Incoming) -> None: ...

    def detached(self) -> None: ...


class Spring(Protocol):
    """What the messages of an outlet come from."""

    def credit_changed(self) -> None:
        """The peer said how many messages it takes; send them now if they are there."""

    def settled(self, delivery: Outgoing, outcome: Outcome) -> None: ...

    def detached(self) -> None: ...


class _State(Enum):
    WANTED = "the peer has attached and waits for the answer"
    ATTACHED = "in use"
    DETACHED_HERE = "the broker has detached or refused it"
    LOST = "the peer has detached, or has gone altogether"


class Link:
    """Attached from when it is accepted until it is detached. Before and after, the peer's frames for it do nothing."""

    def __init__(self, session: Session, wanted: Attach) -> None:
        self.session = session
        self.connection = session.connection
        self.wanted = wanted
        self.delivery_count = 0
        self._state = _State.WANTED

    def __str__(self) -> str:
        return f"link {self.wanted.name!r}"

    @property
    def is_attached(self) -> bool:
        return self._state is _State.ATTACHED

    @property
    def is_detached_here(self) -> bool:
        """By the broker, so that what the peer says of it may have crossed with that."""
        return self._state is _State.DETACHED_HERE

    @property
    def is_lost(self) -> bool:
        return self._state is _State.LOST

    def refuse(self, error: AmqpError) -> None:
        """As Service Bus does: attach with neither source nor target, then detach. (With them the peer would go on.)"""
        if self._state is _State.WANTED:
            self.session.send(Attach(name=self.wanted.name, handle=self.wanted.handle, role=not self.wanted.role))
            self._detach(error)

    def detach(self, error: AmqpError) -> None:
        """End the link by force."""
        if self.is_attached:
            self._gone()
            self._detach(error)

    def lost(self) -> None:
        """The peer, or the connection, ended the link."""
        if self.is_attached:
            self._gone()
        self._state = _State.LOST

    def _gone(self) -> None:
        raise NotImplementedError

    def _detach(self, error: AmqpError) -> None:
        self._state = _State.DETACHED_HERE
        self.session.send(Detach(handle=self.wanted.handle, closed=True, error=error))


@dataclass(slots=True)
class Incoming:
    """A message that came, or is coming, frame by frame."""

    link: Intake
    first: Transfer
    content: bytearray

    def answer(self, outcome: Outcome) -> None:
        """Tell the peer what became of it."""
        if not self.first.settled and self.link.is_attached and self.first.delivery_id is not None:
            number = self.first.delivery_id
            self.link.session.send(Disposition(role=True, first=number, last=number, settled=True, state=outcome))


class Intake(Link):
    """The peer sends, as long as it has credit."""

    sink: Sink

    def __init__(self, session: Session, wanted: Attach) -> None:
        super().__init__(session, wanted)
        self._credit = 0
        self._partial: Incoming | None = None

    def accept(self, sink: Sink, *, max_message_bytes: int | None = None) -> None:
        if self._state is not _State.WANTED:
            return
        self.sink = sink
        batch = "com.microsoft:max-message-batch-size"
        self.session.send(
            Attach(
                name=self.wanted.name,
                handle=self.wanted.handle,
                role=True,
                snd_settle_mode=self.wanted.snd_settle_mode,
                rcv_settle_mode=self.wanted.rcv_settle_mode,
                source=self.wanted.source,
                target=self.wanted.target,
                max_message_size=max_message_bytes,
                properties={batch: max_message_bytes} if max_message_bytes else None,
            )
        )
        self._state = _State.ATTACHED
        self.refill()

    def refill(self) -> None:
        """Let the peer send more, if it has used up half of what it may."""
        if self.is_attached and self._credit <= GRANT // 2:
            self._credit = GRANT
            self._send_flow()

    def transfer(self, transfer: Transfer, payload: bytes) -> None:
        partial = self._partial
        if partial is None:
            partial = self._begin(transfer)
        else:
            _check_continuation(partial.first, transfer)
        partial.content += payload
        self._partial = partial if transfer.more and not transfer.aborted else None
        if self._partial is None and not transfer.aborted:
            self._complete(partial)

    def flow(self, flow: Flow) -> None:
        if flow.delivery_count is not None and flow.delivery_count > self.delivery_count:
            sent = f"{self.delivery_count} were sent and it says {flow.delivery_count}"
            raise Violation(INVALID_FIELD, f"{self}: a delivery count that is ahead: {sent}")
        if flow.echo:
            self._send_flow()

    def _begin(self, transfer: Transfer) -> Incoming:
        self.session.expect_delivery(transfer.delivery_id)
        if transfer.delivery_tag is None:
            raise Violation(INVALID_FIELD, f"{self}: a delivery without a tag")
        if self.is_attached and self._credit <= 0:
            raise Violation(TRANSFER_LIMIT, f"{self}: a transfer without credit")
        return Incoming(self, transfer, bytearray())

    def _complete(self, delivery: Incoming) -> None:
        self.delivery_count += 1
        if not self.is_attached:
            return
        self._credit -= 1
        self.connection.host.counts["transfer-in"] += 1
        self.sink.arrived(delivery)

    def _send_flow(self) -> None:
        self.session.send_flow(handle=self.wanted.handle, delivery_count=self.delivery_count, link_credit=self._credit)

    def _gone(self) -> None:
        self.sink.detached()


def _check_continuation(first: Transfer, transfer: Transfer) -> None:
    for name in ("delivery_id", "delivery_tag", "message_format"):
        value = getattr(transfer, name)
        if value is not None and value != getattr(first, name):
            raise Violation(NOT_ALLOWED, f"a transfer that goes on with another {name.replace('_', ' ')} than it began")


@dataclass(slots=True)
class Outgoing:
    """A message that was sent to the peer and is not settled yet."""

    link: Outlet
    number: int
    tag: bytes
    outcome: Outcome | None = None
    """What the peer wants."""

    def answer(self, outcome: Outcome) -> None:
        """Settle it; nothing is said if the peer did so already."""
        self.link.session.settle(self, outcome)


class Outlet(Link):
    """The peer receives, as many messages as it gives credit for."""

    spring: Spring

    def __init__(self, session: Session, wanted: Attach) -> None:
        super().__init__(session, wanted)
        self.credit = 0

    def accept(self, spring: Spring) -> None:
        if self._state is not _State.WANTED:
            return
        self.spring = spring
        self.session.send(
            Attach(
                name=self.wanted.name,
                handle=self.wanted.handle,
                role=False,
                snd_settle_mode=self.wanted.snd_settle_mode,
                rcv_settle_mode=self.wanted.rcv_settle_mode,
                source=self.wanted.source,
                target=self.wanted.target,
                initial_delivery_count=0,
            )
        )
        self._state = _State.ATTACHED

    def send(self, message: bytes, *, tag: bytes, is_settled: bool) -> None:
        """Uses up one credit, which the caller has seen to be there."""
        self.credit -= 1
        self.delivery_count += 1
        self.session.deliver(self, message, tag=tag, is_settled=is_settled)

    def flow(self, flow: Flow) -> None:
        theirs = flow.delivery_count or 0
        if theirs > self.delivery_count:
            sent = f"{self.delivery_count} were sent and it says {theirs}"
            raise Violation(INVALID_FIELD, f"{self}: a delivery count that is ahead: {sent}")
        if flow.link_credit is not None:
            self.credit = max(0, theirs + flow.link_credit - self.delivery_count)
        self.spring.credit_changed()
        if flow.drain:
            self.connection.host.counts["drained"] += 1
            self.delivery_count += self.credit
            self.credit = 0
        if flow.drain or flow.echo:
            self._send_flow(is_drained=flow.drain)

    def _send_flow(self, *, is_drained: bool) -> None:
        self.session.send_flow(
            handle=self.wanted.handle,
            delivery_count=self.delivery_count,
            link_credit=self.credit,
            drain=is_drained,
        )

    def _gone(self) -> None:
        self.spring.detached()
