"""What an error of the Service Bus SDK means: one of ours, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from azure.core.exceptions import AzureError
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusQuotaExceededError,
)

from jobq.errors import JobqError, LeaseLost, NotAllowed, NotFound, ReplyLost, TooLarge, Unreachable
from jobq.model.roles import assignment


class Right(StrEnum):
    """What a caller of Service Bus may do: a claim of a key, and by the same name the end of a role's."""

    SEND = "Send"
    LISTEN = "Listen"


_ROLES = {Right.SEND: "Azure Service Bus Data Sender", Right.LISTEN: "Azure Service Bus Data Receiver"}


@dataclass(frozen=True, slots=True)
class Namespace:
    """A Service Bus namespace as addressed, without its secrets."""

    address: str
    """As in a queue spec: its name, or its whole host name in a cloud that is not the public one."""
    has_key: bool = False
    """Whether callers are known by a key, and not by their identity."""

    @property
    def host(self) -> str:
        return self.address if "." in self.address else f"{self.address}.servicebus.windows.net"

    @property
    def name(self) -> str:
        return self.address.partition(".")[0]


@dataclass(frozen=True, slots=True)
class BusCall:
    """One call of the SDK, and what to know about it when it fails."""

    what: str
    """What it is to do, for messages: `renew the lock of message 7`."""
    queue: str
    right: Right
    is_write: bool = False
    """Whether it may have been applied when no answer comes."""


def error_of(call: BusCall, namespace: Namespace, error: Exception) -> JobqError:
    """The error of ours that an SDK's error, an OSError or a TimeoutError stands for."""
    inner = getattr(error, "inner_exception", None)
    if isinstance(inner, JobqError):  # from our own credential, through the SDK
        return inner
    said = _said(error)
    match error:
        case MessageLockLostError():
            return LeaseLost(f"could not {call.what}: its lock has run out, or it is gone")
        case MessagingEntityNotFoundError():
            return NotFound(_missing(call, namespace))
        case ServiceBusAuthenticationError() | ServiceBusAuthorizationError():
            return _refusal(call, namespace, said)
        case MessagingEntityDisabledError():
            return NotAllowed(
                f"could not {call.what}: queue {call.queue} of Service Bus namespace {namespace.name} is disabled; "
                f"set its status to Active"
            )
        case MessageSizeExceededError():
            return TooLarge(f"could not {call.what}: it is over a limit of Service Bus ({said})")
        case ServiceBusQuotaExceededError():
            return Unreachable(
                f"could not {call.what}: queue {call.queue} of Service Bus namespace {namespace.name} is full, or has "
                f"too many connections ({said}); run workers, then try again"
            )
    if call.is_write:
        return ReplyLost(f"{namespace.host} broke off: it is not known whether it did {call.what} ({said})")
    return Unreachable(f"{namespace.host} did not answer: could not {call.what} ({said})")


def _said(error: Exception) -> str:
    """The condition that the service named, or the kind of error: its text may quote what is not for everybody."""
    condition = getattr(error, "_condition", None)
    inner = error.inner_exception if isinstance(error, AzureError) else None
    if condition and str(condition) not in ("amqp:unknown-error", "amqp:socket-error"):
        return str(condition)
    return type(inner or error).__name__


def _missing(call: BusCall, namespace: Namespace) -> str:
    return (
        f"Service Bus namespace {namespace.name} has no queue {call.queue}: could not {call.what}. Add it to the "
        f"parameters `realms` and `lanes` of the Bicep deployment, or make it with `az servicebus queue create "
        f"--namespace-name {namespace.name} --resource-group <group> --name {call.queue} "
        f"--lock-duration PT5M --max-delivery-count 1000 --enable-dead-lettering-on-message-expiration true`"
    )


def _refusal(call: BusCall, namespace: Namespace, said: str) -> NotAllowed:
    start = f"Service Bus namespace {namespace.name} does not allow to {call.what} ({said}): "
    if namespace.has_key:
        return NotAllowed(start + f"the key is wrong or lacks the claim {call.right}, or this machine's clock is off")
    role = _ROLES[call.right]
    kind = "--resource-type Microsoft.ServiceBus/namespaces"
    fix = assignment(role, f"$(az resource list --name {namespace.name} {kind} --query '[0].id' --output tsv)")
    why = f"the identity in use probably lacks the role {role}. Assign it with `{fix}`; "
    return NotAllowed(f"{start}{why}it takes effect within some minutes", fix=fix)
