"""A stream of bytes to protocol headers and frames, and frames to bytes."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from tests.broker.decode import DecodeError
from tests.broker.errors import DECODE_ERROR, FRAMING_ERROR, Violation
from tests.broker.performatives import Performative, decode_performative, encode_performative

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP, SASL = 0, 1
"""The two kinds of frames."""
HEARTBEAT = b"\x00\x00\x00\x08\x02\x00\x00\x00"

_PREFIX = Struct(">IBBH")
"""Size of the whole frame, where its body starts in words of 4 bytes, kind, channel."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An empty frame, which only says that the peer is alive, has no performative."""

    kind: int
    channel: int
    performative: Performative | None
    payload: bytes


class FrameReader:
    """Takes bytes as they come, and gives what is complete. What it raises as Violation is the peer's fault."""

    def __init__(self, max_frame_bytes: int) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def header(self) -> bytes | None:
        """The next 8 bytes, once they are there."""
        return self._cut(8) if len(self._bytes) >= 8 else None

    def frame(self) -> Frame | None:
        """The next frame, once all of it is there. Raises Violation."""
        if len(self._bytes) < 8:
            return None
        size, words, kind, channel = _PREFIX.unpack_from(self._bytes)
        if size > self._max_frame_bytes:
            raise Violation(FRAMING_ERROR, f"a frame of {size} bytes; {self._max_frame_bytes} were agreed")
        if size < 8 or not 8 <= 4 * words <= size or kind not in (AMQP, SASL):
            raise Violation(FRAMING_ERROR, "bytes that are no frame (or no protocol header came before it)")
        if len(self._bytes) < size:
            return None
        body = self._cut(size)[4 * words :]
        return _decoded(kind, channel, body) if body else Frame(kind, channel, None, b"")

    def _cut(self, size: int) -> bytes:
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        return data


def encode_frame(channel: int, performative: Performative, payload: bytes = b"", *, kind: int = AMQP) -> bytes:
    body = encode_performative(performative)
    return _PREFIX.pack(8 + len(body) + len(payload), 2, kind, channel) + body + payload


def _decoded(kind: int, channel: int, body: bytes) -> Frame:
    try:
        performative, end = decode_performative(body)
    except DecodeError as error:
        raise Violation(DECODE_ERROR, f"a frame that cannot be decoded: {error}") from error
    return Frame(kind, channel, performative, body[end:])
