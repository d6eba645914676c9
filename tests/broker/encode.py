"""AMQP 1.0 values to bytes: part 1 of the standard ("types"). Each function gives one encoded value."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from struct import Struct

from tests.broker.decode import Raw

NULL = b"\x40"
_EMPTY_LIST = b"\x45"
_U8, _U16, _U32, _U64 = Struct(">B"), Struct(">H"), Struct(">I"), Struct(">Q")
_FLOAT, _DOUBLE = Struct(">f"), Struct(">d")


def boolean(value: bool) -> bytes:
    return b"\x41" if value else b"\x42"


def ubyte(value: int) -> bytes:
    return b"\x50" + _U8.pack(value)


def ushort(value: int) -> bytes:
    return b"\x60" + _U16.pack(value)


def uint(value: int) -> bytes:
    if value == 0:
        return b"\x43"
    return b"\x52" + _U8.pack(value) if value < 256 else b"\x70" + _U32.pack(value)


def ulong(value: int) -> bytes:
    if value == 0:
        return b"\x44"
    return b"\x53" + _U8.pack(value) if value < 256 else b"\x80" + _U64.pack(value)


def byte(value: int) -> bytes:
    return b"\x51" + value.to_bytes(1, "big", signed=True)


def short(value: int) -> bytes:
    return b"\x61" + value.to_bytes(2, "big", signed=True)


def int32(value: int) -> bytes:
    if -128 <= value < 128:
        return b"\x54" + value.to_bytes(1, "big", signed=True)
    return b"\x71" + value.to_bytes(4, "big", signed=True)


def long(value: int) -> bytes:
    if -128 <= value < 128:
        return b"\x55" + value.to_bytes(1, "big", signed=True)
    return b"\x81" + value.to_bytes(8, "big", signed=True)


def float32(value: float) -> bytes:
    return b"\x72" + _FLOAT.pack(value)


def double(value: float) -> bytes:
    return b"\x82" + _DOUBLE.pack(value)


def timestamp(milliseconds: int) -> bytes:
    return b"\x83" + milliseconds.to_bytes(8, "big", signed=True)


def uuid_value(value: uuid.UUID) -> bytes:
    return b"\x98" + value.bytes


def raw(value: Raw) -> bytes:
    return bytes([value.constructor]) + value.data


def binary(value: bytes) -> bytes:
    return _variable(b"\xa0", b"\xb0", value)


def string(value: str) -> bytes:
    return _variable(b"\xa1", b"\xb1", value.encode())


def symbol(value: str) -> bytes:
    return _variable(b"\xa3", b"\xb3", value.encode("ascii"))


def list_of(items: Iterable[bytes]) -> bytes:
    """A list of encoded values."""
    encoded = [*items]
    return _compound(b"\xc0", b"\xd0", encoded) if encoded else _EMPTY_LIST


def map_of(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A map of encoded keys and values."""
    return _compound(b"\xc1", b"\xd1", [part for pair in pairs for part in pair])


def array_of(constructor: int, bodies: Iterable[bytes]) -> bytes:
    """An array; `bodies` are encoded values without their constructor, which they share."""
    encoded = [*bodies]
    content = bytes([constructor]) + b"".join(encoded)
    if len(encoded) < 256 and len(content) < 255:
        return b"\xe0" + bytes([len(content) + 1, len(encoded)]) + content
    return b"\xf0" + _U32.pack(len(content) + 4) + _U32.pack(len(encoded)) + content


def symbols(values: Iterable[str]) -> bytes:
    return array_of(0xA3, [bytes([len(value)]) + value.encode("ascii") for value in values])


def longs(values: Iterable[int]) -> bytes:
    return array_of(0x81, [value.to_bytes(8, "big", signed=True) for value in values])


def timestamps(milliseconds: Iterable[int]) -> bytes:
    return array_of(0x83, [value.to_bytes(8, "big", signed=True) for value in milliseconds])


def uuids(values: Iterable[uuid.UUID]) -> bytes:
    return array_of(0x98, [value.bytes for value in values])


def described(code: int, value: bytes) -> bytes:
    """An encoded value under one of AMQP's own descriptors, all of which are below 256."""
    return b"\x00\x53" + bytes([code]) + value  # pyamqp skips these two bytes without looking at them


def _variable(small: bytes, large: bytes, content: bytes) -> bytes:
    size = len(content)
    return small + bytes([size]) + content if size < 256 else large + _U32.pack(size) + content


def _compound(small: bytes, large: bytes, items: list[bytes]) -> bytes:
    content = b"".join(items)
    if len(items) < 256 and len(content) < 255:
        return small + bytes([len(content) + 1, len(items)]) + content
    return large + _U32.pack(len(content) + 4) + _U32.pack(len(items)) + content
