"""The sections of a message: part 3 of the standard ("messaging"). What the sender wrote stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from tests.broker.decode import DecodeError, decode, end_of
from tests.broker.encode import NULL, described, list_of, map_of, string, symbol, uint


class Part(IntEnum):
    """What a section holds. They come in this order; several of `DATA` or `SEQUENCE` may follow one another."""

    HEADER = 0x70
    DELIVERY_ANNOTATIONS = 0x71
    ANNOTATIONS = 0x72
    PROPERTIES = 0x73
    APPLICATION_PROPERTIES = 0x74
    DATA = 0x75
    SEQUENCE = 0x76
    VALUE = 0x77
    FOOTER = 0x78


_DELIVERY_COUNT = 4
"""Its place in the header."""


@dataclass(frozen=True, slots=True)
class Section:
    """`whole` includes the descriptor, `body` does not; both are encoded."""

    part: Part
    whole: bytes
    body: bytes


def split(message: bytes) -> Iterator[Section]:
    """The sections in the order in which they come. Raises DecodeError."""
    at = 0
    while at < len(message):
        if message[at] != 0:
            raise DecodeError(f"no section of a message at byte {at}")
        code, body = decode(message, at + 1)
        end = end_of(message, body)
        yield Section(_part(code), message[at:end], message[body:end])
        at = end


def value_of(section: Section) -> object:
    """The body, decoded."""
    return decode(section.body)[0]


def by_part(message: bytes) -> dict[Part, Section]:
    """The sections; of several of the same part, the last."""
    return {section.part: section for section in split(message)}


def batched(message: bytes) -> list[bytes]:
    """The messages in a Service Bus batch: each data section is a whole message."""
    contents = [value_of(section) for section in split(message) if section.part is Part.DATA]
    return [content for content in contents if isinstance(content, bytes)]


def stamped(
    message: bytes, *, delivery_count: int, annotations: Mapping[str, bytes], properties: Mapping[str, str]
) -> bytes:
    """The message with the broker's own header field and annotations (encoded), and further application properties."""
    found = [*split(message)]
    ours = [
        _header(found, delivery_count),
        *(section.whole for section in found if section.part is Part.DELIVERY_ANNOTATIONS),
        _merged(found, Part.ANNOTATIONS, {symbol(name): value for name, value in annotations.items()}),
    ]
    bare = {section.part: b"" for section in found if section.part > Part.ANNOTATIONS}
    for section in found:
        if section.part > Part.ANNOTATIONS:
            bare[section.part] += section.whole
    if properties:
        extra = {string(name): string(value) for name, value in properties.items()}
        bare[Part.APPLICATION_PROPERTIES] = _merged(found, Part.APPLICATION_PROPERTIES, extra)
    return b"".join([*ours, *(bare[part] for part in sorted(bare))])


def _part(code: object) -> Part:
    try:
        return Part(code)  # type: ignore[arg-type]  # anything else than a code raises ValueError
    except ValueError as error:
        raise DecodeError(f"no section of a message has the descriptor {code!r}") from error


def _header(found: list[Section], delivery_count: int) -> bytes:
    fields = [field for section in found if section.part is Part.HEADER for field in _elements(section.body)]
    fields += [NULL] * (_DELIVERY_COUNT - len(fields))
    return described(Part.HEADER, list_of([*fields[:_DELIVERY_COUNT], uint(delivery_count)]))


def _merged(found: list[Section], part: Part, extra: Mapping[bytes, bytes]) -> bytes:
    """The map in that section, if any, with `extra` in place of entries of the same name."""
    elements = [element for section in found if section.part is part for element in _elements(section.body)]
    names = {decode(name)[0] for name in extra}
    theirs = [pair for pair in zip(elements[::2], elements[1::2], strict=True) if decode(pair[0])[0] not in names]
    return described(part, map_of([*theirs, *extra.items()]))


def _elements(body: bytes) -> list[bytes]:
    """The elements of an encoded list or map, each still encoded."""
    if body[0] in (0x40, 0x45):  # null, the empty list
        return []
    width = 1 if body[0] in (0xC0, 0xC1) else 4
    count = int.from_bytes(body[1 + width : 1 + 2 * width], "big")
    at, elements = 1 + 2 * width, []
    for _ in range(count):
        end = end_of(body, at)
        elements.append(body[at:end])
        at = end
    return elements
