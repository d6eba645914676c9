"""Sections of messages: what the sender wrote comes through, what the broker adds is there, as the SDK reads it."""

from __future__ import annotations

import uuid

import pytest
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Header, Message, Properties

from tests.broker import encode
from tests.broker.decode import DecodeError
from tests.broker.sections import Part, batched, by_part, split, stamped, value_of

FULL = Message(
    header=Header(durable=True, priority=4, ttl=5000),
    delivery_annotations={b"x-opt-d": 1},
    message_annotations={b"x-opt-mine": "kept", b"x-opt-sequence-number": 99},
    properties=Properties(message_id="id", subject="s"),
    application_properties={"key": "value", "DeadLetterReason": "old"},
    data=[b"one", b"two"],
    footer={b"x-opt-f": 2},
)


def pyamqp(message: Message) -> bytes:
    return bytes(encode_payload(bytearray(), message))


def test_sections_of_the_sender_come_through_byte_by_byte() -> None:
    message = pyamqp(FULL)
    sent = [section.whole for section in split(message) if section.part > Part.ANNOTATIONS]

    out = stamped(message, delivery_count=3, annotations={"x-opt-sequence-number": encode.long(7)}, properties={})

    assert [section.whole for section in split(out) if section.part > Part.ANNOTATIONS] == sent
    read = decode_payload(memoryview(out))
    assert read.header == Header(durable=True, priority=4, ttl=5000, first_acquirer=None, delivery_count=3)
    assert read.message_annotations == {b"x-opt-mine": b"kept", b"x-opt-sequence-number": 7}
    assert read.delivery_annotations == {b"x-opt-d": 1}
    assert [section.part for section in split(out)] == sorted(section.part for section in split(out))


def test_body_that_is_a_value_comes_through_untouched() -> None:
    message = pyamqp(Message(value={"a": [1, uuid.uuid4(), b"x" * 300]}))

    out = stamped(message, delivery_count=0, annotations={}, properties={})

    assert by_part(out)[Part.VALUE] == by_part(message)[Part.VALUE]


@pytest.mark.parametrize("message", [FULL, Message(data=[b"bare"])], ids=["full", "bare"])
def test_reason_of_a_dead_letter_joins_the_application_properties(message: Message) -> None:
    out = stamped(pyamqp(message), delivery_count=0, annotations={}, properties={"DeadLetterReason": "new"})

    read = decode_payload(memoryview(out))
    assert read.application_properties is not None
    assert read.application_properties[b"DeadLetterReason"] == b"new"
    assert read.data == message.data


def test_batch_is_taken_apart() -> None:
    messages = [pyamqp(Message(data=[text])) for text in (b"a", b"b" * 1000)]

    assert batched(pyamqp(Message(properties=Properties(message_id="m"), data=messages))) == messages


@pytest.mark.parametrize("message", [b"x", b"\x00\x53\x01\x45", b"\x00\x53\x75\xa0\x09abc"])
def test_message_that_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(DecodeError):
        list(split(message))


def test_value_of_a_section_is_decoded() -> None:
    message = pyamqp(FULL)

    values = {section.part: value_of(section) for section in split(message)}

    assert values[Part.APPLICATION_PROPERTIES] == {"key": "value", "DeadLetterReason": "old"}
    assert values[Part.FOOTER] == {"x-opt-f": 2}
