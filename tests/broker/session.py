"""One session of a connection: its links, its windows, and the deliveries that are not settled."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tests.broker.errors import (
    HANDLE_IN_USE,
    ILLEGAL_STATE,
    INVALID_FIELD,
    NOT_ALLOWED,
    UNATTACHED_HANDLE,
    WINDOW_VIOLATION,
    Violation,
)
from tests.broker.fields import Outcome
from tests.broker.link import Intake, Outgoing, Outlet
from tests.broker.performatives import Attach, Begin, Detach, Disposition, Flow, Performative, Transfer

if TYPE_CHECKING:
    from tests.broker.connection import Connection

WINDOW = 2000
"""How many frames a peer may send before it hears of more room."""

_TRANSFER_BYTES = 128
"""More than a transfer frame takes besides the payload."""


class Session:
    """Handles and the channel have the same numbers in both directions."""

    def __init__(self, connection: Connection, channel: int, begin: Begin) -> None:
        self.connection = connection
        self._channel = channel
        self._links: dict[int, Intake | Outlet] = {}
        self._next_incoming_id = begin.next_outgoing_id
        self._window = WINDOW
        self._next_outgoing_id = 0
        self._peer_window = begin.incoming_window
        self._waiting: deque[tuple[Transfer, bytes]] = deque()
        """Frames for which the peer has no room now."""
        self._expected_delivery: int | None = None
        self._deliveries = 0
        """How many messages were sent; they are numbered from 0."""
        self._unsettled: dict[int, Outgoing] = {}
        self.send(Begin(remote_channel=channel, next_outgoing_id=0, incoming_window=WINDOW, outgoing_window=WINDOW))

    @property
    def links(self) -> list[Intake | Outlet]:
        return [*self._links.values()]

    def send(self, performative: Performative) -> None:
        self.connection.send(self._channel, performative)

    def send_flow(self, **link: Any) -> None:
        """How much the broker takes; `link` are the fields of a flow that speak of a link."""
        self._window = WINDOW
        self.send(
            Flow(
                next_incoming_id=self._next_incoming_id,
                incoming_window=self._window,
                next_outgoing_id=self._next_outgoing_id,
                outgoing_window=WINDOW,
                **link,
            )
        )

    def handle(self, performative: Performative, payload: bytes) -> None:
        """What the peer sent on this session. Raises Violation."""
        self.connection.host.counts[type(performative).__name__.lower()] += 1
        match performative:
            case Transfer():
                self._transfer(performative, payload)
            case Disposition():
                self._disposition(performative)
            case Flow():
                self._flow(performative)
            case Attach():
                self._attach(performative)
            case Detach():
                self._detach(performative)
            case _:
                raise Violation(NOT_ALLOWED, f"{type(performative).__name__} inside a session")

    def refill(self) -> None:
        """Let the peer send more, if it has used up half of what it may."""
        for link in self._links.values():
            if isinstance(link, Intake):
                link.refill()
        if self._window <= WINDOW // 2:
            self.send_flow()

    def end(self) -> None:
        """The session, or its connection, is over."""
        for link in self._links.values():
            link.lost()
        self._links.clear()

    def expect_delivery(self, number: int | None) -> None:
        """The first frame of a delivery: its number must be one more than that of the last. Raises Violation."""
        if number is None:
            raise Violation(INVALID_FIELD, "a delivery that begins without a delivery-id")
        if self._expected_delivery is not None and number != self._expected_delivery:
            expected = f"{number} where {self._expected_delivery} was next"
            raise Violation(INVALID_FIELD, f"delivery-ids of a session that are not sequential: {expected}")
        self._expected_delivery = (number + 1) % 2**32

    def deliver(self, link: Outlet, message: bytes, *, tag: bytes, is_settled: bool) -> None:
        """Send a message, in as many frames as the peer's frame size asks for."""
        number = self._deliveries
        self._deliveries += 1
        if not is_settled:
            self._unsettled[number] = Outgoing(link, number, tag)
        size = self.connection.frame_bytes - _TRANSFER_BYTES
        for at in range(0, len(message), size):
            is_first, more = at == 0, at + size < len(message)
            transfer = Transfer(
                handle=link.wanted.handle,
                delivery_id=number if is_first else None,
                delivery_tag=tag if is_first else None,
                message_format=0 if is_first else None,
                settled=is_settled,
                more=more,
            )
            self._waiting.append((transfer, message[at : at + size]))
        self._send_waiting()

    def settle(self, delivery: Outgoing, outcome: Outcome) -> None:
        """Tell the peer the end of a delivery, unless it has settled it itself or its link is gone."""
        if self._unsettled.pop(delivery.number, None) and delivery.link.is_attached:
            number = delivery.number
            self.send(Disposition(role=False, first=number, last=number, settled=True, state=outcome))

    def _send_waiting(self) -> None:
        while self._waiting and self._peer_window > 0:
            transfer, payload = self._waiting.popleft()
            self._next_outgoing_id += 1
            self._peer_window -= 1
            self.connection.send(self._channel, transfer, payload)

    def _transfer(self, transfer: Transfer, payload: bytes) -> None:
        self._next_incoming_id += 1
        self._window -= 1
        if self._window < 0:
            raise Violation(WINDOW_VIOLATION, f"a transfer although the session has no room, of {WINDOW} frames")
        link = self._link(transfer.handle)
        if not isinstance(link, Intake):
            raise Violation(NOT_ALLOWED, f"{link}: a transfer on a link on which the peer receives")
        link.transfer(transfer, payload)

    def _flow(self, flow: Flow) -> None:
        theirs = flow.next_incoming_id or 0
        if theirs > self._next_outgoing_id:
            sent = f"{self._next_outgoing_id} were sent and {theirs} is next for it"
            raise Violation(INVALID_FIELD, f"a flow for more frames than the peer can have: {sent}")
        self._peer_window = theirs + flow.incoming_window - self._next_outgoing_id
        self._send_waiting()
        if flow.handle is None:
            if flow.echo:
                self.send_flow()
        elif (link := self._link(flow.handle)).is_attached:
            link.flow(flow)

    def _attach(self, attach: Attach) -> None:
        if attach.handle in self._links and not self._links[attach.handle].is_lost:
            raise Violation(HANDLE_IN_USE, f"an attach with handle {attach.handle}, which is in use")
        if not attach.role and attach.initial_delivery_count is None:
            raise Violation(INVALID_FIELD, f"an attach of a sender, {attach.name!r}, without initial-delivery-count")
        link = Outlet(self, attach) if attach.role else Intake(self, attach)
        self._links[attach.handle] = link
        self.connection.host.attach_asked(link)

    def _detach(self, detach: Detach) -> None:
        link = self._link(detach.handle)
        if link.is_attached:
            self.send(Detach(handle=detach.handle, closed=detach.closed))
        # A link that was detached by force stays known: pyamqp sends a last flow for it before it looks at its state.
        if not link.is_detached_here:
            del self._links[detach.handle]
        link.lost()

    def _disposition(self, disposition: Disposition) -> None:
        if not disposition.role:
            # Each message that came was settled here with the first answer, so a sender has nothing left to say.
            raise Violation(NOT_ALLOWED, f"a disposition of a sender, for delivery {disposition.first}")
        last = disposition.first if disposition.last is None else disposition.last
        if not disposition.first <= last < self._deliveries:
            given = f"{disposition.first} to {last}"
            raise Violation(
                INVALID_FIELD, f"a disposition for deliveries {given} on a session that had {self._deliveries}"
            )
        for number in range(disposition.first, last + 1):
            self._settled(number, disposition)

    def _settled(self, number: int, disposition: Disposition) -> None:
        delivery = self._unsettled.get(number)
        if delivery is None:
            raise Violation(ILLEGAL_STATE, f"a second settlement of delivery {number}, or of one that needs none")
        if delivery.outcome is not None:
            wish = f"{delivery.outcome} and now {disposition.state}"
            raise Violation(ILLEGAL_STATE, f"a second outcome for delivery {number}: {wish}")
        if delivery.link.is_detached_here:
            return  # it crossed with the detach
        if not delivery.link.is_attached:
            raise Violation(ILLEGAL_STATE, f"{delivery.link}: a disposition although the peer has detached")
        if disposition.settled:
            del self._unsettled[number]
        if disposition.state is not None:
            delivery.outcome = disposition.state
            delivery.link.spring.settled(delivery, disposition.state)

    def _link(self, handle: int) -> Intake | Outlet:
        if handle not in self._links:
            raise Violation(UNATTACHED_HANDLE, f"a frame for handle {handle}, to which no link is attached")
        return self._links[handle]
