"""Bytes to AMQP 1.0 values: part 1 of the standard ("types")."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError

_U8, _U32 = Struct(">B"), Struct(">I")


class DecodeError(Exception):
    """These bytes are no AMQP value, or not the value that belongs here."""


class Symbol(str):
    """ASCII text that is another type than a string on the wire."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a word on what it means; the AMQP frames and sections are described lists and maps."""

    descriptor: object
    value: object


@dataclass(frozen=True, slots=True)
class Raw:
    """A character or a decimal number: carried along, not understood."""

    constructor: int
    data: bytes


def decode(data: bytes, at: int = 0) -> tuple[object, int]:
    """The value that starts at `at`, and where the next one starts. Integers and timestamps (ms) are all `int`.

    Raises DecodeError.
    """
    try:
        return _decode(data, at)
    except (IndexError, KeyError, StructError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"no AMQP value at byte {at} of {len(data)}: {error!r}") from error


def end_of(data: bytes, at: int) -> int:
    """Where the value that starts at `at` ends, found without decoding it. Raises DecodeError."""
    try:
        end = _end_of(data, at)
    except (IndexError, StructError) as error:
        raise DecodeError(f"no AMQP value at byte {at} of {len(data)}") from error
    if end > len(data):
        raise DecodeError(f"the value at byte {at} is longer than what is there")
    return end


_Decoder = Callable[[bytes, int], tuple[object, int]]


def _decode(data: bytes, at: int) -> tuple[object, int]:
    return _DECODERS[data[at]](data, at + 1)


def _end_of(data: bytes, at: int) -> int:
    constructor = data[at]
    at += 1
    if constructor == 0:
        return _end_of(data, _end_of(data, at))
    # The high half of a constructor says how wide the value is, or how wide its size is.
    match constructor >> 4:
        case 0x4:
            return at
        case 0x5 | 0x6 | 0x7 | 0x8 | 0x9 as width:
            return at + (1 << (width - 5))
        case 0xA | 0xC | 0xE:
            return at + 1 + data[at]
        case 0xB | 0xD | 0xF:
            return at + 4 + int(_U32.unpack_from(data, at)[0])
    raise DecodeError(f"no AMQP type has the constructor {constructor:#04x}")


def _constant(value: object) -> _Decoder:
    return lambda _, at: (value, at)


def _number(form: str) -> _Decoder:
    unpack, size = Struct(form).unpack_from, Struct(form).size
    return lambda data, at: (unpack(data, at)[0], at + size)


def _bytes(width: int, make: Callable[[bytes], object]) -> _Decoder:
    def read(data: bytes, at: int) -> tuple[object, int]:
        return make(_cut(data, at, at + width)), at + width

    return read


def _sized(size: Struct, make: Callable[[bytes], object]) -> _Decoder:
    width, unpack = size.size, size.unpack_from

    def read(data: bytes, at: int) -> tuple[object, int]:
        at += width
        end = at + unpack(data, at - width)[0]
        return make(_cut(data, at, end)), end

    return read


def _cut(data: bytes, at: int, end: int) -> bytes:
    if end > len(data):
        raise DecodeError(f"the value at byte {at} ends at {end}, after the last of {len(data)} bytes")
    return data[at:end]


def _items(size: Struct) -> Callable[[bytes, int], tuple[list[object], int]]:
    width, unpack = size.size, size.unpack_from

    def read(data: bytes, at: int) -> tuple[list[object], int]:
        end = at + width + unpack(data, at)[0]
        count = unpack(data, at + width)[0]
        at += 2 * width
        items = []
        for _ in range(count):
            item, at = _decode(data, at)
            items.append(item)
        _check_end(at, end)
        return items, end

    return read


def _pairs(size: Struct) -> _Decoder:
    read_items = _items(size)

    def read(data: bytes, at: int) -> tuple[object, int]:
        items, end = read_items(data, at)
        if len(items) % 2:
            raise DecodeError("a map with a key that has no value")
        return dict(zip(items[::2], items[1::2], strict=True)), end

    return read


def _array(size: Struct) -> _Decoder:
    width, unpack = size.size, size.unpack_from

    def read(data: bytes, at: int) -> tuple[object, int]:
        end = at + width + unpack(data, at)[0]
        count = unpack(data, at + width)[0]
        if count == 0:
            return [], end  # pyamqp leaves out the constructor of an empty array
        element, at = _element(data, at + 2 * width)
        items = []
        for _ in range(count):
            item, at = element(data, at)
            items.append(item)
        _check_end(at, end)
        return items, end

    return read


def _element(data: bytes, at: int) -> tuple[_Decoder, int]:
    """How to read one element of an array whose constructor is at `at`, and where the first one starts."""
    if data[at] != 0:
        return _DECODERS[data[at]], at + 1
    descriptor, at = _decode(data, at + 1)
    inner, at = _element(data, at)

    def read(data: bytes, at: int) -> tuple[object, int]:
        value, at = inner(data, at)
        return Described(descriptor, value), at

    return read, at


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise DecodeError(f"a list, map or array whose items end at byte {at} says that it ends at {end}")


def _described(data: bytes, at: int) -> tuple[object, int]:
    descriptor, at = _decode(data, at)
    value, at = _decode(data, at)
    return Described(descriptor, value), at


def _symbol(content: bytes) -> Symbol:
    return Symbol(content.decode("ascii"))


_DECODERS: dict[int, _Decoder] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: lambda _, at: ([], at),
    0x50: _number(">B"),
    0x51: _number(">b"),
    0x52: _number(">B"),
    0x53: _number(">B"),
    0x54: _number(">b"),
    0x55: _number(">b"),
    0x56: _number(">?"),
    0x60: _number(">H"),
    0x61: _number(">h"),
    0x70: _number(">I"),
    0x71: _number(">i"),
    0x72: _number(">f"),
    0x73: _bytes(4, lambda data: Raw(0x73, data)),
    0x74: _bytes(4, lambda data: Raw(0x74, data)),
    0x80: _number(">Q"),
    0x81: _number(">q"),
    0x82: _number(">d"),
    0x83: _number(">q"),
    0x84: _bytes(8, lambda data: Raw(0x84, data)),
    0x94: _bytes(16, lambda data: Raw(0x94, data)),
    0x98: _bytes(16, lambda data: uuid.UUID(bytes=data)),
    0xA0: _sized(_U8, bytes),
    0xA1: _sized(_U8, bytes.decode),
    0xA3: _sized(_U8, _symbol),
    0xB0: _sized(_U32, bytes),
    0xB1: _sized(_U32, bytes.decode),
    0xB3: _sized(_U32, _symbol),
    0xC0: _items(_U8),
    0xC1: _pairs(_U8),
    0xD0: _items(_U32),
    0xD1: _pairs(_U32),
    0xE0: _array(_U8),
    0xF0: _array(_U32),
}
