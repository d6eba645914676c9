"""Messages on the wire to what a queue keeps, and back; requests and replies."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from tests.broker.decode import DecodeError
from tests.broker.encode import (
    NULL,
    binary,
    described,
    int32,
    list_of,
    long,
    map_of,
    string,
    symbol,
    timestamp,
    ulong,
    uuid_value,
)
from tests.broker.errors import INVALID_FIELD, Violation
from tests.broker.fields import typed
from tests.broker.messages import DeadLettering, Message, Posted
from tests.broker.sections import Part, Section, by_part, stamped, value_of

BATCH_FORMAT = 0x80013700
"""The message format of a Service Bus batch."""

_NO_DEAD_LETTERING = DeadLettering()


def posted(content: bytes) -> Posted:
    """A message as a sender sent it."""
    parts = by_part(content)
    [_, _, life, *_] = _list(parts.get(Part.HEADER), size=3)
    [message_id, *_] = _list(parts.get(Part.PROPERTIES), size=1)
    due = _map(parts.get(Part.ANNOTATIONS)).get("x-opt-scheduled-enqueue-time")
    return Posted(
        content,
        "" if message_id is None else str(message_id),
        timedelta(milliseconds=life) if isinstance(life, int) and life else None,
        due / 1000 if isinstance(due, int) else None,
    )


def delivered(message: Message) -> bytes:
    """A message as a receiver gets it: what its sender sent, and what the queue knows."""
    annotations = {
        "x-opt-enqueued-time": timestamp(milliseconds(message.enqueued_at)),
        "x-opt-sequence-number": long(message.sequence_number),
        "x-opt-message-state": int32(message.state),
    }
    if message.lock is not None:
        annotations["x-opt-locked-until"] = timestamp(milliseconds(message.lock.until))
    why = message.dead_lettering or _NO_DEAD_LETTERING
    said = {"DeadLetterReason": why.reason, "DeadLetterErrorDescription": why.description}
    return stamped(
        message.posted.content,
        delivery_count=message.delivery_count,
        annotations=annotations,
        properties={name: text for name, text in said.items() if text is not None},
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What came for `$cbs` or a `$management`."""

    message_id: object
    reply_to: str | None
    properties: Mapping[object, object]
    body: object


def read_request(content: bytes) -> Request:
    """Raises Violation, DecodeError."""
    parts = by_part(content)
    [message_id, _, _, _, reply_to, *_] = _list(parts.get(Part.PROPERTIES), size=5)
    if message_id is None:
        raise Violation(INVALID_FIELD, "a request without a message-id, so that no reply can name it")
    body = value_of(parts[Part.VALUE]) if Part.VALUE in parts else None
    named = _map(parts.get(Part.APPLICATION_PROPERTIES))
    return Request(message_id, reply_to if isinstance(reply_to, str) else None, named, body)


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is an encoded value."""

    status: int
    description: str = "OK"
    condition: str | None = None
    body: bytes = NULL


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """How the application properties of a reply are called."""

    status: str
    description: str
    condition: str


MANAGEMENT_WORDS = ReplyWords("statusCode", "statusDescription", "errorCondition")
CBS_WORDS = ReplyWords("status-code", "status-description", "error-condition")


def encode_reply(request: Request, reply: Reply, words: ReplyWords) -> bytes:
    said = [
        (string(words.status), int32(reply.status)),
        (string(words.description), string(reply.description)),
    ]
    if reply.condition is not None:
        said.append((string(words.condition), symbol(reply.condition)))
    correlated = list_of([*[NULL] * 5, _encode_id(request.message_id)])
    return (
        described(Part.PROPERTIES, correlated)
        + described(Part.APPLICATION_PROPERTIES, map_of(said))
        + described(Part.VALUE, reply.body)
    )


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _list(section: Section | None, *, size: int) -> list[object]:
    """The fields of a section that is a list, filled up to `size` with nulls; all nulls if there is no such section."""
    value = [] if section is None else typed(value_of(section) or [], list)
    return [*value, *[None] * (size - len(value))]


def _map(section: Section | None) -> dict[object, object]:
    return {} if section is None else dict(typed(value_of(section) or {}, dict))


def _encode_id(value: object) -> bytes:
    match value:
        case uuid.UUID():
            return uuid_value(value)
        case str():
            return string(value)
        case bytes():
            return binary(value)
        case int():
            return ulong(value)
    raise DecodeError(f"a message-id that is {value!r}")
