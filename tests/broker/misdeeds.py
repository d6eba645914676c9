"""What a peer must not do, as functions of a raw peer. `MISDEEDS` says what the broker makes of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from tests.broker.encode import NULL, binary, boolean, described, list_of, uint
from tests.broker.errors import (
    DECODE_ERROR,
    FRAMING_ERROR,
    HANDLE_IN_USE,
    ILLEGAL_STATE,
    INVALID_FIELD,
    NOT_ALLOWED,
    TRANSFER_LIMIT,
    UNATTACHED_HANDLE,
    UNAUTHORIZED,
    WINDOW_VIOLATION,
)
from tests.broker.fields import Accepted, Released
from tests.broker.frames import encode_frame
from tests.broker.link import GRANT
from tests.broker.performatives import Attach, Begin, Detach, Disposition, Flow, Open, Transfer
from tests.broker.raw_peer import RawPeer, credit, receiver, request, sender, settle
from tests.broker.session import WINDOW

Misdeed = Callable[[RawPeer], Awaitable[None]]

BODY = described(0x75, binary(b"body"))
"""A whole message."""


def message(number: int, *, more: bool = False, tag: bytes = b"tag") -> Transfer:
    return Transfer(handle=5, delivery_id=number, delivery_tag=tag, message_format=0, more=more)


async def ready_to_send(peer: RawPeer) -> None:
    """Handle 5 is a sender; delivery 1 is next."""
    await peer.ready("q")
    peer.send(sender("q", handle=5))
    await peer.expect(Attach)


async def holding_a_message(peer: RawPeer) -> None:
    """Handle 6 is a receiver and has received delivery 1 with the only credit it gave."""
    await ready_to_send(peer)
    peer.send(message(1), payload=BODY)
    peer.send(receiver("q", handle=6), credit(handle=6, link_credit=1))
    await peer.expect(Transfer)


async def too_large_frame(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1), payload=bytes(2**16))


async def another_protocol(peer: RawPeer) -> None:
    await peer.open()
    peer.send_bytes(b"GET / HTTP/1.1\r\n\r\n")


async def undecodable_frame(peer: RawPeer) -> None:
    await peer.open()
    peer.send_bytes(encode_frame(1, Detach(handle=0))[:-3] + b"\xff\xff\xff")


async def missing_mandatory_field(peer: RawPeer) -> None:
    await ready_to_send(peer)
    body = described(Transfer.code, list_of([NULL, uint(1), binary(b"tag")]))
    peer.send_bytes((8 + len(body)).to_bytes(4, "big") + b"\x02\x00\x00\x01" + body)


async def undecodable_message(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1), payload=b"no section")


async def begin_before_open(peer: RawPeer) -> None:
    await peer.exchange_headers()
    peer.send(Begin(next_outgoing_id=0, incoming_window=1, outgoing_window=1))


async def second_open(peer: RawPeer) -> None:
    await peer.open()
    peer.send(Open(container_id="again"), channel=0)


async def second_begin(peer: RawPeer) -> None:
    await peer.open()
    await peer.begin()
    peer.send(Begin(next_outgoing_id=0, incoming_window=1, outgoing_window=1))


async def tiny_frame_size(peer: RawPeer) -> None:
    await peer.exchange_headers()
    peer.send(Open(container_id="raw", max_frame_size=100), channel=0)


async def unmapped_channel(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(sender("q", handle=5), channel=2)


async def unattached_handle(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(message(1), payload=BODY)


async def flow_for_unattached_handle(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(credit(handle=9))


async def handle_after_detach(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(Detach(handle=5, closed=True), message(1), payload=b"")


async def handle_in_use(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(sender("q", handle=5))


async def sender_without_initial_count(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(replace(sender("q", handle=5), initial_delivery_count=None))


async def transfer_to_the_sending_side(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(replace(message(2), handle=6), payload=BODY)


async def transfer_without_credit(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(*(replace(message(number), settled=True) for number in range(1, GRANT + 2)), payload=BODY)


async def more_frames_than_the_window(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send_bytes(encode_frame(1, message(1, more=True)) + WINDOW * _bare_continuation())


async def skipped_delivery_id(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1), message(3), payload=BODY)


async def repeated_delivery_id(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1), message(1), payload=BODY)


async def no_delivery_id(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(replace(message(1), delivery_id=None), payload=BODY)


async def no_delivery_tag(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(replace(message(1), delivery_tag=None), payload=BODY)


async def another_tag_midway(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1, more=True), message(1, tag=b"other"), payload=BODY)


async def another_id_midway(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(message(1, more=True), message(2), payload=BODY)


async def settling_what_never_came(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(settle(2, Accepted()))


async def settling_twice(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(settle(1, Accepted()), settle(1, Accepted()))


async def settling_what_was_sent_settled(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(settle(0, Accepted()))  # the reply of `$cbs`


async def settling_as_a_sender(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(Disposition(role=False, first=1, settled=True, state=Accepted()))


async def settling_after_detaching(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(Detach(handle=6, closed=True), settle(1, Accepted()))


async def another_outcome(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(settle(1, Accepted()), settle(1, Released()))


async def delivery_count_of_a_receiver_ahead(peer: RawPeer) -> None:
    await holding_a_message(peer)
    peer.send(credit(handle=6, delivery_count=2))


async def delivery_count_of_a_sender_ahead(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(credit(handle=5, delivery_count=1))


async def frames_received_that_were_not_sent(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(Flow(next_incoming_id=9, incoming_window=1, next_outgoing_id=0, outgoing_window=1))


async def request_without_message_id(peer: RawPeer) -> None:
    await peer.ready("q")
    named = {"operation": "put-token", "name": "q"}
    peer.send(replace(message(1), handle=1), payload=request(named, NULL, message_id=NULL))


async def request_that_nobody_hears(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(sender("q/$management", handle=5), message(1), payload=request({"operation": "x"}, NULL))


async def request_before_a_token(peer: RawPeer) -> None:
    await peer.ready("another")
    peer.send(receiver("q/$management", handle=4), credit(handle=4), sender("q/$management", handle=5))
    peer.send(message(1), payload=request({"operation": "com.microsoft:peek-message"}, NULL))


async def attach_before_a_token(peer: RawPeer) -> None:
    await peer.ready("another")
    peer.send(receiver("q", handle=5))


def _bare_continuation() -> bytes:
    """The shortest frame that goes on with a delivery on handle 5."""
    body = described(Transfer.code, list_of([uint(5), *[NULL] * 4, boolean(True)]))
    return (8 + len(body)).to_bytes(4, "big") + b"\x02\x00\x00\x01" + body


MISDEEDS: dict[Misdeed, tuple[str, str]] = {
    too_large_frame: (FRAMING_ERROR, "65536 were agreed"),
    another_protocol: (FRAMING_ERROR, "a frame of 1195725856 bytes"),
    undecodable_frame: (DECODE_ERROR, "a frame that cannot be decoded"),
    missing_mandatory_field: (DECODE_ERROR, "Transfer without its mandatory field handle"),
    undecodable_message: (DECODE_ERROR, "content that cannot be decoded"),
    begin_before_open: (ILLEGAL_STATE, "Begin where open was expected"),
    second_open: (ILLEGAL_STATE, "a second open"),
    second_begin: (ILLEGAL_STATE, "a second begin on channel 1"),
    tiny_frame_size: (INVALID_FIELD, "a largest frame of 100 bytes"),
    unmapped_channel: (NOT_ALLOWED, "channel 2, where no session has begun"),
    unattached_handle: (UNATTACHED_HANDLE, "handle 5, to which no link is attached"),
    flow_for_unattached_handle: (UNATTACHED_HANDLE, "handle 9"),
    handle_after_detach: (UNATTACHED_HANDLE, "handle 5"),
    handle_in_use: (HANDLE_IN_USE, "handle 5, which is in use"),
    sender_without_initial_count: (INVALID_FIELD, "without initial-delivery-count"),
    transfer_to_the_sending_side: (NOT_ALLOWED, "a transfer on a link on which the peer receives"),
    transfer_without_credit: (TRANSFER_LIMIT, "link 'sender 5': a transfer without credit"),
    more_frames_than_the_window: (WINDOW_VIOLATION, "although the session has no room"),
    skipped_delivery_id: (INVALID_FIELD, "not sequential: 3 where 2 was next"),
    repeated_delivery_id: (INVALID_FIELD, "not sequential: 1 where 2 was next"),
    no_delivery_id: (INVALID_FIELD, "without a delivery-id"),
    no_delivery_tag: (INVALID_FIELD, "without a tag"),
    another_tag_midway: (NOT_ALLOWED, "another delivery tag"),
    another_id_midway: (NOT_ALLOWED, "another delivery id"),
    settling_what_never_came: (INVALID_FIELD, "deliveries 2 to 2 on a session that had 2"),
    settling_twice: (ILLEGAL_STATE, "a second settlement of delivery 1"),
    settling_what_was_sent_settled: (ILLEGAL_STATE, "of one that needs none"),
    settling_as_a_sender: (NOT_ALLOWED, "a disposition of a sender"),
    settling_after_detaching: (ILLEGAL_STATE, "although the peer has detached"),
    another_outcome: (ILLEGAL_STATE, "a second settlement of delivery 1"),
    delivery_count_of_a_receiver_ahead: (INVALID_FIELD, "1 were sent and it says 2"),
    delivery_count_of_a_sender_ahead: (INVALID_FIELD, "0 were sent and it says 1"),
    frames_received_that_were_not_sent: (INVALID_FIELD, "more frames than the peer can have"),
    request_without_message_id: (INVALID_FIELD, "without a message-id"),
    request_that_nobody_hears: (NOT_ALLOWED, "whose reply nobody on the session receives"),
    request_before_a_token: (UNAUTHORIZED, "the $management of q before a token for it"),
    attach_before_a_token: (UNAUTHORIZED, "an attach to q before a token for it"),
}
"""The condition with which the broker closes, and words of what it writes down."""
