"""Misbehaviour on request: what a test tells the broker to do in place of an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Protocol, TypeVar

from tests.broker.errors import (
    DETACH_FORCED,
    LOCK_LOST,
    MESSAGE_NOT_FOUND,
    MESSAGE_TOO_LARGE,
    RESOURCE_LIMIT,
    AmqpError,
    Refused,
)
from tests.broker.messages import LockLost, MessageNotFound, MessageTooLarge, QueueError, QueueFull

Answer = TypeVar("Answer")

OPERATIONS = frozenset(
    {
        *("open", "put-token", "attach", "send", "deliver"),
        *("complete", "abandon", "defer", "dead-letter", "release"),
        *("renew-lock", "peek", "schedule", "cancel", "receive-deferred", "update-disposition"),
    }
)
"""What can be broken. `attach` are links to queues (not `$cbs`, not `$management`); the last line are requests to
`$management`, `update-disposition` being all settlements made there."""


class Break(Enum):
    """What happens in place of an operation."""

    DROP_BEFORE = "the connection is cut, nothing is done"
    DROP_AFTER = "it is done, then the connection is cut: the reply is lost"
    LOSE_REPLY = "it is done, and the answer never comes"
    IGNORE = "nothing is done, and no answer comes"
    DETACH = "the link is detached by force, nothing is done; an attach is done first"


@dataclass(frozen=True, slots=True)
class Refuse:
    """The operation is not done, and the peer is told why. A delivery cannot be refused."""

    condition: str
    text: str = "refused by the test"


@dataclass(frozen=True, slots=True)
class Delay:
    """The operation is done at once, and the answer comes this much later (in real time)."""

    seconds: float


Fault = Break | Refuse | Delay


class Carrier(Protocol):
    """The connection on which an operation came."""

    def run(self, step: Callable[[], None]) -> None: ...

    def cut(self) -> None: ...


class Holder(Protocol):
    """The link on which it came."""

    @property
    def is_attached(self) -> bool: ...

    def detach(self, error: AmqpError) -> None: ...


@dataclass(frozen=True, slots=True)
class Deed(Generic[Answer]):
    """One operation that a peer asked for. `do` raises Refused or QueueError."""

    operation: str
    queue: str
    connection: Carrier
    do: Callable[[], Answer]
    answer: Callable[[Answer], None]
    refuse: Callable[[AmqpError], None]
    link: Holder | None = None


@dataclass(slots=True)
class _Planned:
    operation: str
    fault: Fault
    queue: str
    times: int
    after: int


@dataclass(slots=True)
class Faults:
    """All operations go through here. Faults are used up in the order in which they were planned."""

    _planned: list[_Planned] = field(default_factory=list)
    _late: set[asyncio.TimerHandle] = field(default_factory=set)

    @property
    def left(self) -> int:
        """How many operations are still going to fail."""
        return sum(plan.times for plan in self._planned)

    def plan(self, operation: str, fault: Fault, *, queue: str = "", times: int = 1, after: int = 0) -> None:
        """Break `times` operations, once `after` more have passed unharmed; those of one queue, or of all."""
        if operation not in OPERATIONS:
            raise ValueError(f"{operation} is none of {', '.join(sorted(OPERATIONS))}")
        if operation == "deliver" and (isinstance(fault, Refuse) or fault is Break.IGNORE):
            raise ValueError("a delivery that does not happen cannot be told from a queue that is empty")
        self._planned.append(_Planned(operation, fault, queue.lower(), times, after))

    def close(self) -> None:
        """The answers that are still to come will not."""
        for timer in self._late:
            timer.cancel()

    def carry_out(self, deed: Deed[Answer]) -> None:
        """Do it and answer it, unless a fault is planned for it."""
        match self._next_fault(deed.operation, deed.queue.lower()):
            case None:
                _done(deed)()
            case Refuse(condition, text):
                deed.refuse(AmqpError(condition, text))
            case Delay(seconds):
                self._later(seconds, deed.connection, _done(deed))
            case Break.DROP_BEFORE:
                deed.connection.cut()
            case Break.DROP_AFTER:
                _done(deed)
                deed.connection.cut()
            case Break.LOSE_REPLY:
                _done(deed)
            case Break.DETACH if deed.link is not None:
                if not deed.link.is_attached:
                    _done(deed)()
                deed.link.detach(AmqpError(DETACH_FORCED, "The link was detached by force."))

    def _next_fault(self, operation: str, queue: str) -> Fault | None:
        for plan in self._planned:
            if plan.operation == operation and plan.queue in ("", queue):
                if plan.after > 0:
                    plan.after -= 1
                    continue
                plan.times -= 1
                if plan.times == 0:
                    self._planned.remove(plan)
                return plan.fault
        return None

    def _later(self, seconds: float, connection: Carrier, step: Callable[[], None]) -> None:
        def now() -> None:
            self._late.discard(timer)
            connection.run(step)

        timer = asyncio.get_running_loop().call_later(seconds, now)
        self._late.add(timer)


def _done(deed: Deed[Answer]) -> Callable[[], None]:
    """Do it; what is returned tells the peer how it went."""
    try:
        result = deed.do()
    except Refused as refused:
        error = refused.error
        return lambda: deed.refuse(error)
    except QueueError as failed:
        condition = _CONDITIONS.get(type(failed), RESOURCE_LIMIT)
        told = AmqpError(condition, str(failed))
        return lambda: deed.refuse(told)
    return lambda: deed.answer(result)


_CONDITIONS: dict[type[QueueError], str] = {
    LockLost: LOCK_LOST,
    MessageNotFound: MESSAGE_NOT_FOUND,
    MessageTooLarge: MESSAGE_TOO_LARGE,
    QueueFull: RESOURCE_LIMIT,
}
