"""One connection of a client: from the protocol header to the close, and hanging up on who breaks the protocol."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from tests.broker.access import Claims
from tests.broker.decode import DecodeError
from tests.broker.errors import (
    DECODE_ERROR,
    ILLEGAL_STATE,
    INTERNAL_ERROR,
    INVALID_FIELD,
    NOT_ALLOWED,
    AmqpError,
    Violation,
)
from tests.broker.frames import AMQP_HEADER, HEARTBEAT, SASL, SASL_HEADER, Frame, FrameReader, encode_frame
from tests.broker.link import Link
from tests.broker.performatives import (
    Begin,
    Close,
    Detach,
    End,
    Open,
    Performative,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
)
from tests.broker.session import Session

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = 64 * 1024
"""In both directions. Smaller than the largest message, so that messages of several frames are nothing special."""
CONTAINER = "tests.broker"
MECHANISMS = ["MSSBCBS", "ANONYMOUS", "PLAIN"]
_SMALLEST_FRAME_BYTES = 512
_PATIENCE_SECONDS = 1.0
"""How long a peer that was hung up on may take to read why."""


class Host(Protocol):
    """What a connection asks of the broker."""

    counts: Counter[str]
    violations: list[str]

    def opened(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...

    def open_asked(self, connection: Connection, answer: Callable[[], None]) -> None:
        """The peer wants to open the connection; `answer` lets it."""

    def attach_asked(self, link: Link) -> None:
        """The peer wants to attach a link: accept it, refuse it, or let it wait."""


class _Phase(Enum):
    """What is expected next."""

    SASL_HEADER = "the header of SASL"
    SASL_INIT = "the choice of a SASL mechanism"
    AMQP_HEADER = "the header of AMQP"
    OPEN = "open"
    OPENED = "whatever AMQP has"
    CLOSED = "nothing"


class Connection(asyncio.Protocol):
    """Reads frames, one at a time and completely: all that follows from a frame has happened before the next."""

    def __init__(self, host: Host, number: int) -> None:
        self.host = host
        self.name = f"connection {number}"
        self.frame_bytes = MAX_FRAME_BYTES
        self.claims = Claims()
        self.is_lost = asyncio.Event()
        self._sessions: dict[int, Session] = {}
        self._ended_channels: set[int] = set()
        self._reader = FrameReader(MAX_FRAME_BYTES)
        self._phase = _Phase.SASL_HEADER
        self._is_held = False
        self._output: list[bytes] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.host.counts["connections"] += 1
        self.host.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self.is_lost.set()
        self.host.lost(self)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self.run(self._read)
        # Only now: a peer that sends more than it was allowed to in one go must not profit from what comes meanwhile.
        for session in self._sessions.values():
            session.refill()

    def run(self, step: Callable[[], None]) -> None:
        """Do something on behalf of the peer. If that shows that it broke the protocol, hang up on it."""
        if self._phase is _Phase.CLOSED:
            return
        try:
            step()
        except Violation as violation:
            self._blame(violation.error)
        except DecodeError as error:
            self._blame(AmqpError(DECODE_ERROR, f"content that cannot be decoded: {error}"))
        except Exception as error:
            # A mistake of the broker's must fail the test that met it, and all tests look at the violations.
            logger.exception("%s met a mistake in the broker", self.name)
            self._blame(AmqpError(INTERNAL_ERROR, f"the broker itself failed: {error!r}"))

    def send(self, channel: int, performative: Performative, payload: bytes = b"") -> None:
        """Goes out with all else that is sent in this turn of the loop. A closed connection sends nothing."""
        if self._phase is not _Phase.CLOSED:
            self._write(encode_frame(channel, performative, payload))

    def refuse(self, error: AmqpError) -> None:
        """Close the connection, saying why; no fault of the peer's."""
        if self._phase is _Phase.OPEN:
            self.send(0, Open(container_id=CONTAINER, max_frame_size=MAX_FRAME_BYTES))
        self.send(0, Close(error=error))
        self._leave()
        self._flush()
        self._timers["end"] = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._transport.abort)

    def cut(self) -> None:
        """End the connection at once, so that the peer sees a reset."""
        self._leave()
        self._output.clear()
        linger_not = struct.pack("ii", 1, 0)
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
        self._transport.abort()

    def _blame(self, error: AmqpError) -> None:
        self.host.violations.append(f"{self.name}: {error.description} ({error.condition})")
        if self._phase in (_Phase.OPEN, _Phase.OPENED):
            self.refuse(error)
        else:
            self._end()  # there are no words for it yet

    def _end(self) -> None:
        self._leave()
        self._flush()
        self._transport.close()

    def _leave(self) -> None:
        self._phase = _Phase.CLOSED
        for session in self._sessions.values():
            session.end()
        self._sessions.clear()
        for timer in self._timers.values():
            timer.cancel()

    def _write(self, data: bytes) -> None:
        if not self._output:
            asyncio.get_running_loop().call_soon(self._flush)
        self._output.append(data)

    def _flush(self) -> None:
        data = b"".join(self._output)
        self._output.clear()
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def _read(self) -> None:
        while not self._is_held:
            match self._phase:
                case _Phase.CLOSED:
                    return
                case _Phase.SASL_HEADER | _Phase.AMQP_HEADER:
                    header = self._reader.header()
                    if header is None:
                        return
                    self._header(header)
                case _:
                    frame = self._reader.frame()
                    if frame is None:
                        return
                    self._frame(frame)

    def _header(self, header: bytes) -> None:
        expected = SASL_HEADER if self._phase is _Phase.SASL_HEADER else AMQP_HEADER
        self._write(expected)
        if header != expected:
            raise Violation(NOT_ALLOWED, f"{header!r} in place of the protocol header {expected!r}")
        if self._phase is _Phase.SASL_HEADER:
            self._write(encode_frame(0, SaslMechanisms(names=MECHANISMS), kind=SASL))
            self._phase = _Phase.SASL_INIT
        else:
            self._phase = _Phase.OPEN

    def _frame(self, frame: Frame) -> None:
        match frame.performative, self._phase:
            case SaslInit() as init, _Phase.SASL_INIT:
                self._authenticate(init)
            case Open() as wanted, _Phase.OPEN:
                self._open(wanted)
            case None, _Phase.OPENED:
                pass  # a heartbeat
            case performative, _Phase.OPENED if performative is not None and frame.kind != SASL:
                self._opened_frame(frame.channel, performative, frame.payload)
            case performative, phase:
                raise Violation(ILLEGAL_STATE, f"{type(performative).__name__} where {phase.value} was expected")

    def _authenticate(self, init: SaslInit) -> None:
        if init.mechanism not in MECHANISMS:
            raise Violation(NOT_ALLOWED, f"the SASL mechanism {init.mechanism}, which was not offered")
        self._write(encode_frame(0, SaslOutcome(outcome=0), kind=SASL))
        self._phase = _Phase.AMQP_HEADER

    def _open(self, wanted: Open) -> None:
        self.name += f" of {wanted.container_id}"
        if wanted.max_frame_size < _SMALLEST_FRAME_BYTES:
            raise Violation(INVALID_FIELD, f"a largest frame of {wanted.max_frame_size} bytes")
        self.frame_bytes = min(MAX_FRAME_BYTES, wanted.max_frame_size)
        self._is_held = True
        self.host.open_asked(self, lambda: self._answer_open(wanted))

    def _answer_open(self, wanted: Open) -> None:
        self.send(0, Open(container_id=CONTAINER, max_frame_size=MAX_FRAME_BYTES))
        self._phase = _Phase.OPENED
        if wanted.idle_time_out:
            self._beat(wanted.idle_time_out / 2000)
        self._is_held = False
        self._read()

    def _beat(self, seconds: float) -> None:
        self._timers["heartbeat"] = asyncio.get_running_loop().call_later(seconds, self._beat, seconds)
        self._write(HEARTBEAT)

    def _opened_frame(self, channel: int, performative: Performative, payload: bytes) -> None:
        match performative:
            case Begin():
                self._begin(channel, performative)
            case Close():
                self.send(0, Close())
                self._end()
            case Open():
                raise Violation(ILLEGAL_STATE, "a second open")
            case End():
                self._session(channel).end()
                del self._sessions[channel]
                self._ended_channels.add(channel)
                self.send(channel, End())
            case Detach() if channel in self._ended_channels:
                pass  # pyamqp detaches what is still attached just after it has ended the session
            case _:
                self._session(channel).handle(performative, payload)

    def _begin(self, channel: int, begin: Begin) -> None:
        if channel in self._sessions:
            raise Violation(ILLEGAL_STATE, f"a second begin on channel {channel}")
        self._ended_channels.discard(channel)
        self._sessions[channel] = Session(self, channel, begin)

    def _session(self, channel: int) -> Session:
        if channel not in self._sessions:
            raise Violation(NOT_ALLOWED, f"a frame on channel {channel}, where no session has begun")
        return self._sessions[channel]
