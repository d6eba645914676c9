"""Values: bytes that the standard prescribes, and round trips."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.broker import encode
from tests.broker.decode import DecodeError, Described, Raw, decode, end_of


def whole(data: bytes) -> object:
    """The one value in `data`."""
    value, end = decode(data)
    assert end == end_of(data, 0) == len(data)
    return value


def bits(width: int, *, signed: bool = False) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else st.integers(0, 2**width - 1)


KINDS: dict[str, tuple[Callable[..., bytes], st.SearchStrategy[object]]] = {
    "boolean": (encode.boolean, st.booleans()),
    "ubyte": (encode.ubyte, bits(8)),
    "ushort": (encode.ushort, bits(16)),
    "uint": (encode.uint, bits(32)),
    "ulong": (encode.ulong, bits(64)),
    "byte": (encode.byte, bits(8, signed=True)),
    "short": (encode.short, bits(16, signed=True)),
    "int": (encode.int32, bits(32, signed=True)),
    "long": (encode.long, bits(64, signed=True)),
    "float": (encode.float32, st.floats(width=32, allow_nan=False)),
    "double": (encode.double, st.floats(allow_nan=False)),
    "timestamp": (encode.timestamp, bits(64, signed=True)),
    "uuid": (encode.uuid_value, st.uuids()),
    "binary": (encode.binary, st.binary(max_size=600)),
    "string": (encode.string, st.text(max_size=300)),
    "symbol": (encode.symbol, st.text(st.characters(codec="ascii"), max_size=300)),
    "longs": (encode.longs, st.lists(bits(64, signed=True), max_size=300)),
    "timestamps": (encode.timestamps, st.lists(bits(64, signed=True), max_size=40)),
    "uuids": (encode.uuids, st.lists(st.uuids(), max_size=40)),
    "symbols": (encode.symbols, st.lists(st.text(st.characters(codec="ascii"), max_size=40), max_size=40)),
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_value_that_was_encoded_is_decoded_again(kind: str, data: st.DataObject) -> None:
    write, values = KINDS[kind]
    value = data.draw(values)

    assert whole(write(value)) == value


@given(st.lists(st.binary(max_size=50), max_size=300), st.dictionaries(st.text(max_size=9), bits(32), max_size=200))
def test_lists_and_maps_of_any_size_are_decoded_again(items: list[bytes], entries: dict[str, int]) -> None:
    pairs = [(encode.string(name), encode.uint(value)) for name, value in entries.items()]

    both = encode.list_of([encode.list_of(map(encode.binary, items)), encode.map_of(pairs)])

    assert whole(both) == [items, entries]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x40", None),
        (b"\x56\x01", True),
        (b"\x43", 0),
        (b"\x44", 0),
        (b"\x52\xff", 255),
        (b"\x53\x10", 16),
        (b"\x54\xff", -1),
        (b"\x55\x80", -128),
        (b"\x70\x00\x01\x00\x00", 65536),
        (b"\x80\x00\x00\x00\x00\x00\x00\x01\x00", 256),
        (b"\x83\x00\x00\x00\x00\x00\x00\x00\x05", 5),
        (b"\x98" + bytes(range(16)), uuid.UUID(bytes=bytes(range(16)))),
        (b"\xa1\x03\xe2\x82\xac", "€"),
        (b"\xa3\x02ab", "ab"),
        (b"\xb0\x00\x00\x00\x01x", b"x"),
        (b"\x45", []),
        (b"\xc0\x03\x02\x41\x42", [True, False]),
        (b"\xd0\x00\x00\x00\x05\x00\x00\x00\x01\x40", [None]),
        (b"\xc1\x05\x02\xa1\x01a\x41", {"a": True}),
        (b"\xe0\x04\x02\x50\x01\x02", [1, 2]),
        (b"\xe0\x01\x00", []),
        (b"\xe0\x09\x02\x00\x53\x24\xa0\x01a\x01b", [Described(36, b"a"), Described(36, b"b")]),
        (b"\x00\x53\x24\x45", Described(36, [])),
        (b"\x00\xa3\x01d\x00\x53\x01\x40", Described("d", Described(1, None))),
        (b"\x73\x00\x00\x00\x41", Raw(0x73, b"\x00\x00\x00A")),
        (b"\x94" + bytes(16), Raw(0x94, bytes(16))),
    ],
)
def test_bytes_of_the_standard_mean_what_it_says(data: bytes, value: object) -> None:
    assert whole(data) == value


@pytest.mark.parametrize("value", [Raw(0x73, b"abcd"), Raw(0x74, b"abcd"), Raw(0x84, bytes(8)), Raw(0x94, bytes(16))])
def test_characters_and_decimals_are_carried_as_they_are(value: Raw) -> None:
    assert whole(encode.raw(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x70\x00",
        b"\xa1\x05abc",
        b"\xa1\x01\xff",
        b"\xc0\x03\x05\x41\x42",
        b"\xc0\x09\x01\x41",
        b"\xc1\x02\x01\x40",
        b"\xc1\x04\x02\x45\x41\x41",
        b"\x98\x00",
        b"\x00" * 5000,
        b"\x00\x53",
    ],
)
def test_bytes_that_are_no_value_are_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(data)


@given(st.binary(max_size=60))
def test_no_bytes_do_worse_than_being_refused(data: bytes) -> None:
    try:
        _, end = decode(data)
    except DecodeError:
        return
    assert 0 < end <= len(data)
