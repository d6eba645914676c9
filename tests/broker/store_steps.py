"""The steps that tests of the store are made of."""

from __future__ import annotations

import uuid
from datetime import timedelta

from tests.broker.messages import Message, Posted
from tests.broker.store import Queue


def post(
    queue: Queue,
    *contents: bytes,
    message_id: str = "",
    time_to_live: timedelta | None = None,
    due: float | None = None,
) -> list[int]:
    """Send messages together; their sequence numbers."""
    return queue.send([Posted(content, message_id, time_to_live, due) for content in contents])


def receive(queue: Queue) -> Message:
    """The next message, locked; there must be one."""
    message = queue.lock_next()
    assert message is not None
    return message


def token(message: Message) -> uuid.UUID:
    assert message.lock is not None
    return message.lock.token


def contents(messages: list[Message]) -> list[bytes]:
    return [message.posted.content for message in messages]
