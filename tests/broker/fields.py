"""How one field of an AMQP frame is read and written, and the composite values that fields hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.broker.decode import DecodeError, Described
from tests.broker.encode import NULL, binary, boolean, described, list_of, map_of, string, symbol, symbols, uint
from tests.broker.encode import ubyte as encode_ubyte
from tests.broker.encode import ulong as encode_ulong
from tests.broker.encode import ushort as encode_ushort
from tests.broker.errors import AmqpError


@dataclass(frozen=True, slots=True)
class Terminus:
    """Where a link begins or ends. `filters` are the names of the filters that a source asks for."""

    address: str | None
    filters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Accepted:
    """Done with."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Cannot be processed. Without an error it echoes a rejection. `info`: what the peer says of the reason."""

    error: AmqpError | None = None
    info: Mapping[object, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Released:
    """Never looked at."""


@dataclass(frozen=True, slots=True)
class Modified:
    """Looked at, and given back."""

    delivery_failed: bool = False
    undeliverable_here: bool = False


Outcome = Accepted | Rejected | Released | Modified


def wire(read: Callable[[object], object], write: Callable[[Any], bytes]) -> Mapping[str, object]:
    """The metadata of a dataclass field that is a field of a frame. `read` raises DecodeError."""
    return {"read": read, "write": write}


def _plain(kind: type, write: Callable[[Any], bytes]) -> Mapping[str, object]:
    return wire(lambda value: typed(value, kind), write)


def typed(value: object, kind: type) -> Any:
    """`value`, which is a `kind`, or else DecodeError."""
    if type(value) is kind or (kind is not int and isinstance(value, kind)):  # a bool is no int here
        return value
    raise DecodeError(f"a {type(value).__name__} where a {kind.__name__} belongs")


def composite(value: object, code: int, size: int) -> list[object]:
    """The fields of a described list, filled up with nulls: a peer may leave out the last ones."""
    if isinstance(value, Described) and value.descriptor == code and isinstance(value.value, list):
        return value.value + [None] * (size - len(value.value))
    raise DecodeError(f"{value!r} where the composite type {code:#04x} belongs")


def _read_source(value: object) -> Terminus:
    fields = composite(value, 0x28, 11)
    filters = typed(fields[7], dict) if fields[7] is not None else {}
    return Terminus(_address(fields), frozenset(map(str, filters)))


def _read_target(value: object) -> Terminus:
    return Terminus(_address(composite(value, 0x29, 7)))


def _address(fields: list[object]) -> str | None:
    return None if fields[0] is None else str(typed(fields[0], str))


def _write_source(terminus: Terminus) -> bytes:
    return described(0x28, list_of([string(terminus.address or ""), *[NULL] * 10]))


def _write_target(terminus: Terminus) -> bytes:
    return described(0x29, list_of([string(terminus.address or ""), *[NULL] * 6]))


def _read_error(value: object) -> AmqpError:
    condition, description, _ = composite(value, 0x1D, 3)
    return AmqpError(str(condition), str(description or ""))


def _write_error(error: AmqpError) -> bytes:
    # All three fields: pyamqp reads them by position, and hangs on a shorter list.
    return described(0x1D, list_of([symbol(error.condition), string(error.description), NULL]))


def _read_outcome(value: object) -> Outcome | None:
    """None for a state that is no outcome, such as "received"."""
    if not isinstance(value, Described) or not isinstance(value.value, list):
        raise DecodeError(f"{value!r} where a delivery state belongs")
    match value.descriptor:
        case 0x24:
            return Accepted()
        case 0x25:
            [error] = composite(value, 0x25, 1)
            info = composite(error, 0x1D, 3)[2] if error is not None else None
            return Rejected(_read_error(error) if error is not None else None, typed(info or {}, dict))
        case 0x26:
            return Released()
        case 0x27:
            failed, undeliverable, _ = composite(value, 0x27, 3)
            return Modified(failed is True, undeliverable is True)
        case 0x23:
            return None
    raise DecodeError(f"{value!r} where a delivery state belongs")


def _write_outcome(outcome: Outcome) -> bytes:
    match outcome:
        case Accepted():
            return described(0x24, list_of([]))
        case Rejected(error):
            return described(0x25, list_of([NULL if error is None else _write_error(error)]))
        case Released():
            return described(0x26, list_of([]))
        case Modified(failed, undeliverable):
            return described(0x27, list_of([boolean(failed), boolean(undeliverable), NULL]))


def _write_properties(properties: Mapping[str, int]) -> bytes:
    return map_of((symbol(name), uint(value)) for name, value in properties.items())


def _read_mechanisms(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else [str(typed(value, str))]


def _write_mechanisms(names: Iterable[str]) -> bytes:
    return symbols(names)


BOOLEAN = _plain(bool, boolean)
UBYTE = _plain(int, encode_ubyte)
USHORT = _plain(int, encode_ushort)
UINT = _plain(int, uint)
ULONG = _plain(int, encode_ulong)
STRING = _plain(str, string)
SYMBOL = _plain(str, symbol)
BINARY = _plain(bytes, binary)
MECHANISMS = wire(_read_mechanisms, _write_mechanisms)
SOURCE = wire(_read_source, _write_source)
TARGET = wire(_read_target, _write_target)
OUTCOME = wire(_read_outcome, _write_outcome)
ERROR = wire(_read_error, _write_error)
PROPERTIES = wire(lambda value: typed(value, dict), _write_properties)
IGNORED = wire(lambda value: None, lambda value: NULL)
"""A field that is neither read nor ever sent, such as locales and capabilities."""
