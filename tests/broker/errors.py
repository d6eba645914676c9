"""The two ways in which a peer does not get what it wants: a request is refused, or the peer broke the protocol."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AmqpError:
    """What goes over the wire: `condition` is one of the names in AMQP 1.0 or of Service Bus (`com.microsoft:…`)."""

    condition: str
    description: str


class Refused(Exception):
    """What was asked for is not done, and the peer is told so. Link and connection go on where AMQP lets them."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.error = AmqpError(condition, description)


class Violation(Exception):
    """The peer did what a strict peer hangs up on."""

    def __init__(self, condition: str, rule: str) -> None:
        super().__init__(f"{condition}: {rule}")
        self.error = AmqpError(condition, rule)


NOT_ALLOWED = "amqp:not-allowed"
NOT_FOUND = "amqp:not-found"
NOT_IMPLEMENTED = "amqp:not-implemented"
UNAUTHORIZED = "amqp:unauthorized-access"
DECODE_ERROR = "amqp:decode-error"
ILLEGAL_STATE = "amqp:illegal-state"
INVALID_FIELD = "amqp:invalid-field"
INTERNAL_ERROR = "amqp:internal-error"
RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
FRAMING_ERROR = "amqp:connection:framing-error"
WINDOW_VIOLATION = "amqp:session:window-violation"
HANDLE_IN_USE = "amqp:session:handle-in-use"
UNATTACHED_HANDLE = "amqp:session:unattached-handle"
DETACH_FORCED = "amqp:link:detach-forced"
TRANSFER_LIMIT = "amqp:link:transfer-limit-exceeded"
MESSAGE_TOO_LARGE = "amqp:link:message-size-exceeded"
LOCK_LOST = "com.microsoft:message-lock-lost"
MESSAGE_NOT_FOUND = "com.microsoft:message-not-found"
ENTITY_DISABLED = "com.microsoft:entity-disabled"
