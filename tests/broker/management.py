"""`$management` of a queue: what is not done by sending and receiving.

Source: "AMQP 1.0 in Azure Service Bus: request-response-based operations". Where the page leaves it open what happens
when one of several locks is lost, nothing is done to any.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from tests.broker.access import Claims
from tests.broker.encode import binary, list_of, longs, map_of, string, timestamps, uuid_value
from tests.broker.envelope import MANAGEMENT_WORDS, Reply, Request, delivered, milliseconds, posted
from tests.broker.errors import (
    ENTITY_DISABLED,
    INVALID_FIELD,
    LOCK_LOST,
    MESSAGE_NOT_FOUND,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    UNAUTHORIZED,
    AmqpError,
    Refused,
    Violation,
)
from tests.broker.fields import typed
from tests.broker.messages import DeadLettering, Message
from tests.broker.store import Queue

_PREFIX = "com.microsoft:"
_NO_CONTENT = Reply(204, "No messages")
_STATUS = {
    INVALID_FIELD: 400,
    ENTITY_DISABLED: 400,
    UNAUTHORIZED: 401,
    NOT_FOUND: 404,
    MESSAGE_NOT_FOUND: 404,
    "com.microsoft:timeout": 408,
    LOCK_LOST: 410,
    NOT_IMPLEMENTED: 501,
    "com.microsoft:server-busy": 503,
}

Body = Mapping[object, object]
Element = TypeVar("Element")


class ManagementDesk:
    """Works on one queue for one connection, which must have handed in a token for it."""

    words = MANAGEMENT_WORDS

    def __init__(self, queue: Queue, claims: Claims, counts: Counter[str]) -> None:
        self.queue = queue.spec.name
        self.place = place_of(queue)
        self._queue = queue
        self._claims = claims
        self._counts = counts
        self._operations: dict[str, tuple[str, Callable[[Body], Reply]]] = {
            "renew-lock": ("renew-lock", self._renew),
            "peek-message": ("peek", self._peek),
            "schedule-message": ("schedule", self._schedule),
            "cancel-scheduled-message": ("cancel", self._cancel),
            "receive-by-sequence-number": ("receive-deferred", self._receive_deferred),
            "update-disposition": ("update-disposition", self._update_disposition),
        }

    def operation(self, request: Request) -> str:
        return self._operations[_name(request)][0] if _name(request) in self._operations else ""

    def carry_out(self, request: Request) -> Reply:
        self._counts["management"] += 1
        if not self._claims.cover(self.queue):
            raise Violation(UNAUTHORIZED, f"a request to the $management of {self.queue} before a token for it")
        if not self.operation(request):
            raise Refused(NOT_IMPLEMENTED, f"there is no operation {request.properties.get('operation')!r}")
        return self._operations[_name(request)][1](typed(request.body, dict))

    def refusal(self, error: AmqpError) -> Reply:
        return Reply(_STATUS.get(error.condition, 500), error.description, error.condition)

    def _renew(self, body: Body) -> Reply:
        tokens = _array(body, "lock-tokens", uuid.UUID)
        until = milliseconds(self._queue.renew(*tokens))
        return _reply("expirations", timestamps([until] * len(tokens)))

    def _peek(self, body: Body) -> Reply:
        first, limit = typed(body.get("from-sequence-number"), int), typed(body.get("message-count"), int)
        messages = self._queue.peek(first, limit)
        return _reply("messages", list_of(map(_entry, messages))) if messages else _NO_CONTENT

    def _schedule(self, body: Body) -> Reply:
        entries = _array(body, "messages", dict)
        numbers = self._queue.send([posted(typed(entry.get("message"), bytes)) for entry in entries])
        return _reply("sequence-numbers", longs(numbers))

    def _cancel(self, body: Body) -> Reply:
        self._queue.cancel(*_array(body, "sequence-numbers", int))
        return Reply(200)

    def _receive_deferred(self, body: Body) -> Reply:
        deletes = typed(body.get("receiver-settle-mode"), int) == 0
        numbers = _array(body, "sequence-numbers", int)
        messages = self._queue.receive_deferred(*numbers, locks=not deletes)
        return _reply("messages", list_of(_entry(message, with_lock=not deletes) for message in messages))

    def _update_disposition(self, body: Body) -> Reply:
        status, tokens = body.get("disposition-status"), _array(body, "lock-tokens", uuid.UUID)
        why = DeadLettering(_text(body, "deadletter-reason"), _text(body, "deadletter-description"))
        settlements: dict[object, Callable[..., None]] = {
            "completed": self._queue.complete,
            "abandoned": self._queue.abandon,
            "defered": self._queue.defer,  # so it is spelled
            "suspended": partial(self._queue.dead_letter, why=why),
        }
        if status not in settlements:
            raise Refused(INVALID_FIELD, f"there is no disposition status {status!r}")
        settlements[status](*tokens)
        return Reply(200)


def place_of(queue: Queue) -> str:
    """The path of a queue's `$management`, in lower case."""
    return f"{queue.spec.name}/$management".lower()


def _name(request: Request) -> str:
    return str(request.properties.get("operation")).removeprefix(_PREFIX)


def _reply(name: str, value: bytes) -> Reply:
    return Reply(200, body=map_of([(string(name), value)]))


def _entry(message: Message, *, with_lock: bool = False) -> bytes:
    pairs = [(string("message"), binary(delivered(message)))]
    if with_lock and message.lock is not None:
        pairs.append((string("lock-token"), uuid_value(message.lock.token)))
    return map_of(pairs)


def _array(body: Body, name: str, kind: type[Element]) -> list[Element]:
    values = typed(body.get(name), list)
    return [typed(value, kind) for value in values]


def _text(body: Body, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None
