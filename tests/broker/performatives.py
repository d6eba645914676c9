"""The frames of AMQP 1.0: parts 2 ("transport") and 5 ("security") of the standard, field by field and in order.

A field without a default is mandatory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from tests.broker.decode import DecodeError, Described, decode
from tests.broker.encode import NULL, described, list_of
from tests.broker.errors import AmqpError
from tests.broker.fields import (
    BINARY,
    BOOLEAN,
    ERROR,
    IGNORED,
    MECHANISMS,
    OUTCOME,
    PROPERTIES,
    SOURCE,
    STRING,
    SYMBOL,
    TARGET,
    UBYTE,
    UINT,
    ULONG,
    USHORT,
    Outcome,
    Terminus,
)


class Performative:
    """What a frame says."""

    __slots__ = ()
    code: ClassVar[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Performative):
    """Agrees on a connection. `idle_time_out`: milliseconds of silence after which the sender of this hangs up."""

    code: ClassVar[int] = 0x10
    container_id: str = field(metadata=STRING)
    hostname: str | None = field(default=None, metadata=STRING)
    max_frame_size: int = field(default=2**32 - 1, metadata=UINT)
    channel_max: int = field(default=2**16 - 1, metadata=USHORT)
    idle_time_out: int | None = field(default=None, metadata=UINT)
    outgoing_locales: None = field(default=None, metadata=IGNORED)
    incoming_locales: None = field(default=None, metadata=IGNORED)
    offered_capabilities: None = field(default=None, metadata=IGNORED)
    desired_capabilities: None = field(default=None, metadata=IGNORED)
    properties: None = field(default=None, metadata=IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin(Performative):
    """Starts a session on a channel."""

    code: ClassVar[int] = 0x11
    remote_channel: int | None = field(default=None, metadata=USHORT)
    next_outgoing_id: int = field(metadata=UINT)
    incoming_window: int = field(metadata=UINT)
    outgoing_window: int = field(metadata=UINT)
    handle_max: int = field(default=2**32 - 1, metadata=UINT)
    offered_capabilities: None = field(default=None, metadata=IGNORED)
    desired_capabilities: None = field(default=None, metadata=IGNORED)
    properties: None = field(default=None, metadata=IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach(Performative):
    """Attaches a link to a session. `role` is that of its sender: True if it will receive."""

    code: ClassVar[int] = 0x12
    name: str = field(metadata=STRING)
    handle: int = field(metadata=UINT)
    role: bool = field(metadata=BOOLEAN)
    snd_settle_mode: int = field(default=2, metadata=UBYTE)
    rcv_settle_mode: int = field(default=0, metadata=UBYTE)
    source: Terminus | None = field(default=None, metadata=SOURCE)
    target: Terminus | None = field(default=None, metadata=TARGET)
    unsettled: None = field(default=None, metadata=IGNORED)
    incomplete_unsettled: bool = field(default=False, metadata=BOOLEAN)
    initial_delivery_count: int | None = field(default=None, metadata=UINT)
    max_message_size: int | None = field(default=None, metadata=ULONG)
    offered_capabilities: None = field(default=None, metadata=IGNORED)
    desired_capabilities: None = field(default=None, metadata=IGNORED)
    properties: Mapping[str, object] | None = field(default=None, metadata=PROPERTIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Performative):
    """Says how much the sender of this takes: on the session, and on a link if `handle` names one."""

    code: ClassVar[int] = 0x13
    next_incoming_id: int | None = field(default=None, metadata=UINT)
    incoming_window: int = field(metadata=UINT)
    next_outgoing_id: int = field(metadata=UINT)
    outgoing_window: int = field(metadata=UINT)
    handle: int | None = field(default=None, metadata=UINT)
    delivery_count: int | None = field(default=None, metadata=UINT)
    link_credit: int | None = field(default=None, metadata=UINT)
    available: int | None = field(default=None, metadata=UINT)
    drain: bool = field(default=False, metadata=BOOLEAN)
    echo: bool = field(default=False, metadata=BOOLEAN)
    properties: None = field(default=None, metadata=IGNORED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Performative):
    """Carries a message, or a part of it; the payload follows in the frame."""

    code: ClassVar[int] = 0x14
    handle: int = field(metadata=UINT)
    delivery_id: int | None = field(default=None, metadata=UINT)
    delivery_tag: bytes | None = field(default=None, metadata=BINARY)
    message_format: int | None = field(default=None, metadata=UINT)
    settled: bool | None = field(default=None, metadata=BOOLEAN)
    more: bool = field(default=False, metadata=BOOLEAN)
    rcv_settle_mode: int | None = field(default=None, metadata=UBYTE)
    state: Outcome | None = field(default=None, metadata=OUTCOME)
    resume: bool = field(default=False, metadata=BOOLEAN)
    aborted: bool = field(default=False, metadata=BOOLEAN)
    batchable: bool = field(default=False, metadata=BOOLEAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition(Performative):
    """Says what became of the deliveries `first` to `last`. `role` True: its sender had received them."""

    code: ClassVar[int] = 0x15
    role: bool = field(metadata=BOOLEAN)
    first: int = field(metadata=UINT)
    last: int | None = field(default=None, metadata=UINT)
    settled: bool = field(default=False, metadata=BOOLEAN)
    state: Outcome | None = field(default=None, metadata=OUTCOME)
    batchable: bool = field(default=False, metadata=BOOLEAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach(Performative):
    """Ends a link; for good if `closed`."""

    code: ClassVar[int] = 0x16
    handle: int = field(metadata=UINT)
    closed: bool = field(default=False, metadata=BOOLEAN)
    error: AmqpError | None = field(default=None, metadata=ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Performative):
    """Ends a session."""

    code: ClassVar[int] = 0x17
    error: AmqpError | None = field(default=None, metadata=ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Performative):
    """Ends a connection."""

    code: ClassVar[int] = 0x18
    error: AmqpError | None = field(default=None, metadata=ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslMechanisms(Performative):
    """The ways to say who one is."""

    code: ClassVar[int] = 0x40
    names: list[str] = field(metadata=MECHANISMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslInit(Performative):
    """The way that was chosen."""

    code: ClassVar[int] = 0x41
    mechanism: str = field(metadata=SYMBOL)
    initial_response: bytes | None = field(default=None, metadata=BINARY)
    hostname: str | None = field(default=None, metadata=STRING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaslOutcome(Performative):
    """How it went; 0 is well."""

    code: ClassVar[int] = 0x44
    outcome: int = field(metadata=UBYTE)
    additional_data: bytes | None = field(default=None, metadata=BINARY)


def encode_performative(performative: Performative) -> bytes:
    """Every field is written, null where it is not set: some peers read by position."""
    values = ((getattr(performative, column.name), column.write) for column in _COLUMNS[performative.code])
    return described(performative.code, list_of([NULL if value is None else write(value) for value, write in values]))


def decode_performative(data: bytes) -> tuple[Performative, int]:
    """What a frame says, and where its payload starts. Raises DecodeError, also if a mandatory field is missing."""
    value, end = decode(data)
    if not isinstance(value, Described) or not isinstance(value.value, list) or value.descriptor not in _KINDS:
        raise DecodeError(f"{value!r} is not a performative")
    return _read(_KINDS[value.descriptor], value.value), end


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    read: Callable[[object], object]
    write: Callable[[Any], bytes]
    is_mandatory: bool


def _read(kind: type[Performative], values: list[object]) -> Performative:
    columns = _COLUMNS[kind.code]
    if len(values) > len(columns):
        raise DecodeError(f"{kind.__name__} with {len(values)} fields")
    given = {}
    for column, value in zip(columns, values, strict=False):  # a peer may leave out the last fields
        if value is not None:
            given[column.name] = column.read(value)
    missing = [column.name for column in columns if column.is_mandatory and column.name not in given]
    if missing:
        raise DecodeError(f"{kind.__name__} without its mandatory field {missing[0]}")
    return kind(**given)


def _columns(kind: Any) -> tuple[_Column, ...]:
    return tuple(
        _Column(field.name, field.metadata["read"], field.metadata["write"], field.default is MISSING)
        for field in fields(kind)
    )


_TRANSPORT = (Open, Begin, Attach, Flow, Transfer, Disposition, Detach, End, Close)
_SECURITY = (SaslMechanisms, SaslInit, SaslOutcome)
_KINDS: dict[object, type[Performative]] = {kind.code: kind for kind in (*_TRANSPORT, *_SECURITY)}
_COLUMNS = {kind.code: _columns(kind) for kind in _KINDS.values()}
