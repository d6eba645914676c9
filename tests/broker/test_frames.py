"""Frames: round trips, what is no frame, and agreement with the SDK's codec."""

from __future__ import annotations

import struct

import pytest
from azure.servicebus._pyamqp import performatives as theirs
from azure.servicebus._pyamqp._decode import decode_frame
from azure.servicebus._pyamqp._encode import encode_frame as pyamqp_frame
from azure.servicebus._pyamqp.endpoints import Source, Target

from tests.broker import encode
from tests.broker.errors import AmqpError, Violation
from tests.broker.fields import Accepted, Modified, Outcome, Rejected, Released, Terminus
from tests.broker.frames import Frame, FrameReader, encode_frame
from tests.broker.performatives import (
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Flow,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Transfer,
    decode_performative,
)

PERFORMATIVES: list[Performative] = [
    Open(container_id="c", hostname="h", max_frame_size=1000, idle_time_out=60_000),
    Begin(remote_channel=1, next_outgoing_id=0, incoming_window=5, outgoing_window=6),
    Attach(
        name="l",
        handle=3,
        role=True,
        snd_settle_mode=0,
        rcv_settle_mode=1,
        source=Terminus("amqps://h/q"),
        target=Terminus("t"),
        initial_delivery_count=0,
        max_message_size=2**40,
        properties={"com.microsoft:max-message-batch-size": 7},
    ),
    Flow(next_incoming_id=1, incoming_window=2, next_outgoing_id=3, outgoing_window=4, handle=0, drain=True),
    Transfer(handle=0, delivery_id=9, delivery_tag=b"tag", message_format=0, settled=False, more=True),
    Disposition(role=False, first=1, last=2, settled=True, state=Accepted()),
    Detach(handle=1, closed=True, error=AmqpError("amqp:not-found", "no such queue")),
    End(error=None),
    Close(error=AmqpError("amqp:internal-error", "")),
    SaslMechanisms(names=["ANONYMOUS", "PLAIN"]),
    SaslInit(mechanism="ANONYMOUS", initial_response=b""),
    SaslOutcome(outcome=0),
]


@pytest.mark.parametrize("performative", PERFORMATIVES, ids=lambda performative: type(performative).__name__)
def test_frame_that_was_encoded_is_read_again_however_it_is_cut(performative: Performative) -> None:
    data = encode_frame(7, performative, b"payload")
    reader = FrameReader(len(data))

    for byte in data[:-1]:
        reader.feed(bytes([byte]))
        assert reader.frame() is None
    reader.feed(data[-1:])

    assert reader.frame() == Frame(0, 7, performative, b"payload")
    assert reader.frame() is None


@pytest.mark.parametrize(
    "outcome",
    [Accepted(), Released(), Modified(True, True), Rejected(), Rejected(AmqpError("com.microsoft:x", "text"))],
    ids=repr,
)
def test_outcomes_are_read_again(outcome: Outcome) -> None:
    data = encode_frame(0, Disposition(role=True, first=0, state=outcome))

    read, _ = decode_performative(data[8:])

    assert read == Disposition(role=True, first=0, state=outcome)


def test_trailing_fields_may_be_left_out() -> None:
    short = encode.described(0x14, encode.list_of([encode.uint(5)]))

    read, end = decode_performative(short + b"payload")

    assert read == Transfer(handle=5)
    assert end == len(short)


@pytest.mark.parametrize(
    "body",
    [
        encode.described(0x14, encode.list_of([])),  # a transfer without a handle
        encode.described(0x14, encode.list_of([encode.NULL])),
        encode.described(0x14, encode.list_of([encode.string("5")])),
        encode.described(0x14, encode.list_of([encode.boolean(True)])),
        encode.described(0x16, encode.list_of([encode.uint(0)] * 4)),  # a detach with four fields
        encode.described(0x11, encode.list_of([encode.NULL, encode.uint(0), encode.uint(0)])),
        encode.described(0x7F, encode.list_of([])),
        encode.uint(0),
        b"\x00",
    ],
)
def test_frame_that_is_none_is_the_peers_fault(body: bytes) -> None:
    reader = FrameReader(1000)
    reader.feed(struct.pack(">IBBH", 8 + len(body), 2, 0, 0) + body)

    with pytest.raises(Violation):
        reader.frame()


def test_empty_frame_is_a_heartbeat() -> None:
    reader = FrameReader(512)
    reader.feed(b"\x00\x00\x00\x08\x02\x00\x00\x00")

    assert reader.frame() == Frame(0, 0, None, b"")


def test_frames_of_the_sdk_are_understood() -> None:
    nulls = (None, None, None)
    source = Source("amqps://h/q", *nulls, *nulls, {"com.microsoft:session-filter": None}, *nulls)
    properties = {b"com.microsoft:receiver-name": "me"}
    target = Target("t", *nulls, *nulls)
    attach = theirs.AttachFrame("link", 3, True, 0, 1, source, target, *nulls, *nulls, properties)
    transfer = theirs.TransferFrame(handle=1, delivery_id=2, delivery_tag=b"t", message_format=0, payload=b"payload")

    read = [decode_performative(bytes(pyamqp_frame(frame)[1] or b"")) for frame in (attach, transfer)]

    assert read[0][0] == Attach(
        name="link",
        handle=3,
        role=True,
        snd_settle_mode=0,
        rcv_settle_mode=1,
        source=Terminus("amqps://h/q", frozenset({"com.microsoft:session-filter"})),
        target=Terminus("t"),
        properties={"com.microsoft:receiver-name": "me"},
    )
    assert read[1][0] == Transfer(handle=1, delivery_id=2, delivery_tag=b"t", message_format=0)


@pytest.mark.parametrize("performative", PERFORMATIVES, ids=lambda performative: type(performative).__name__)
def test_sdk_finds_every_field_of_a_frame(performative: Performative) -> None:
    kinds = [theirs.OpenFrame, theirs.BeginFrame, theirs.AttachFrame, theirs.FlowFrame, theirs.TransferFrame]
    kinds += [theirs.DispositionFrame, theirs.DetachFrame, theirs.EndFrame, theirs.CloseFrame]
    kinds += [theirs.SASLMechanism, theirs.SASLInit, theirs.SASLOutcome]
    by_code = {kind._code: kind for kind in kinds}  # type: ignore[attr-defined]  # set after the class is made

    code, fields = decode_frame(memoryview(encode_frame(0, performative))[8:])

    assert code == performative.code
    assert len(by_code[code](*fields)) == len(fields)


def test_sdk_reads_all_three_fields_of_an_error() -> None:
    state = Rejected(AmqpError("com.microsoft:server-busy", "later"))

    _, fields = decode_frame(memoryview(encode_frame(0, Disposition(role=True, first=0, state=state)))[8:])

    assert fields[4] == {"rejected": [[b"com.microsoft:server-busy", b"later", None]]}
