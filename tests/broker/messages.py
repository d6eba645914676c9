"""What a queue keeps, as values."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """How a queue behaves."""

    name: str
    lock: timedelta = timedelta(seconds=30)
    max_delivery_count: int = 10
    duplicate_window: timedelta | None = None
    """For how long a message id is remembered; None: no duplicate detection."""
    time_to_live: timedelta | None = None
    """The longest that a message may have; None: for ever."""
    dead_letters_expired: bool = True
    max_message_bytes: int = 256 * 1024
    max_bytes: int | None = None
    """Of all messages together, the dead-lettered ones included; None: no limit."""
    is_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """What a sender hands in. Points in time are seconds since the epoch; an empty message id is never a duplicate."""

    content: bytes
    message_id: str = ""
    time_to_live: timedelta | None = None
    due: float | None = None
    """Not to be delivered before."""


class State(IntEnum):
    """Numbered as in the annotation `x-opt-message-state`. A message may be locked in the first two."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


@dataclass(frozen=True, slots=True)
class Lock:
    token: uuid.UUID
    until: float


@dataclass(frozen=True, slots=True)
class DeadLettering:
    """Why a message was given up; None: not said."""

    reason: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a queue. Points in time are seconds since the epoch."""

    sequence_number: int
    posted: Posted
    enqueued_at: float
    expires_at: float | None
    state: State = State.ACTIVE
    delivery_count: int = 0
    """How many earlier deliveries failed."""
    lock: Lock | None = None
    dead_lettering: DeadLettering | None = None


class QueueError(Exception):
    """A queue does not do what it was asked to."""


class LockLost(QueueError):
    """The lock has run out, or its message is gone."""


class MessageNotFound(QueueError):
    """No message of that sequence number is in the state that was asked for."""


class MessageTooLarge(QueueError):
    """The message is larger than the queue takes."""


class QueueFull(QueueError):
    """The queue holds as many bytes as it may."""
