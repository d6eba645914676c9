"""A client that sends what a test tells it, frame by frame, right or wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from tests.broker.broker import HOST, Broker
from tests.broker.encode import described, list_of, map_of, string, uuid_value
from tests.broker.fields import Outcome, Terminus
from tests.broker.frames import AMQP_HEADER, SASL, SASL_HEADER, Frame, FrameReader, encode_frame
from tests.broker.performatives import (
    Attach,
    Begin,
    Disposition,
    Flow,
    Open,
    Performative,
    SaslInit,
    SaslOutcome,
    Transfer,
)
from tests.broker.sections import Part, by_part, value_of

Kind = TypeVar("Kind", bound=Performative)

_PATIENCE_SECONDS = 5.0


class RawPeer:
    """Everything goes over channel 1 unless a test says otherwise."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(2**20)

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def send(self, *performatives: Performative, payload: bytes = b"", channel: int = 1) -> None:
        """Together, in one piece."""
        self.send_bytes(b"".join(encode_frame(channel, performative, payload) for performative in performatives))

    async def expect(self, kind: type[Kind]) -> Kind:
        """The next frame of that kind; others before it are passed over."""
        while True:
            performative = (await self._next_frame()).performative
            if isinstance(performative, kind):
                return performative

    async def reply(self) -> dict[object, object]:
        """The application properties of the next message."""
        while not isinstance((frame := await self._next_frame()).performative, Transfer):
            pass
        properties = value_of(by_part(frame.payload)[Part.APPLICATION_PROPERTIES])
        assert isinstance(properties, dict)
        return properties

    async def heartbeat(self) -> None:
        """Wait for an empty frame."""
        while (await self._next_frame()).performative is not None:
            pass

    async def _next_frame(self) -> Frame:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (frame := self._frames.frame()) is None:
                data = await self._reader.read(2**16)
                assert data, "the broker hung up"
                self._frames.feed(data)
        return frame

    async def end(self) -> None:
        """Wait until the broker ends the connection; what it still says is passed over."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            with suppress(ConnectionResetError):
                await self._reader.read()

    async def exchange_headers(self) -> None:
        """Up to where `open` is next."""
        self.send_bytes(SASL_HEADER)
        assert await self._reader.readexactly(8) == SASL_HEADER
        self.send_bytes(encode_frame(0, SaslInit(mechanism="ANONYMOUS"), kind=SASL))
        await self.expect(SaslOutcome)
        self.send_bytes(AMQP_HEADER)
        assert await self._reader.readexactly(8) == AMQP_HEADER

    async def open(self, *, idle_time_out: int | None = None, max_frame_size: int = 2**16) -> None:
        """Up to where `begin` is next."""
        await self.exchange_headers()
        self.send(Open(container_id="raw", idle_time_out=idle_time_out, max_frame_size=max_frame_size), channel=0)
        await self.expect(Open)

    async def begin(self, *, incoming_window: int = 1000) -> None:
        self.send(Begin(next_outgoing_id=0, incoming_window=incoming_window, outgoing_window=1000))
        await self.expect(Begin)

    async def put_token(self, audience: str, *, delivery_id: int = 0) -> None:
        """Attach to `$cbs` (handles 0 and 1) and hand in a token; the answer is waited for."""
        self.send(receiver("$cbs", handle=0), sender("$cbs", handle=1), credit(handle=0))
        self.send(
            Transfer(handle=1, delivery_id=delivery_id, delivery_tag=b"token", message_format=0),
            payload=token_request(audience),
        )
        await self.expect(Transfer)

    async def ready(self, queue: str) -> None:
        """Up to where links to `queue` can be attached. One delivery was sent, one was received."""
        await self.open()
        await self.begin()
        await self.put_token(f"sb://{HOST}/{queue}")


@asynccontextmanager
async def raw_peer(broker: Broker) -> AsyncIterator[RawPeer]:
    """Connected, and nothing sent yet."""
    reader, writer = await asyncio.open_connection(HOST, broker.port)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()


def receiver(address: str, *, handle: int, name: str = "") -> Attach:
    name = name or f"receiver {handle}"
    source, target = Terminus(address), Terminus(address)
    return Attach(name=name, handle=handle, role=True, source=source, target=target)


def sender(address: str, *, handle: int) -> Attach:
    name = f"sender {handle}"
    source, target = Terminus("here"), Terminus(address)
    return Attach(name=name, handle=handle, role=False, source=source, target=target, initial_delivery_count=0)


def credit(*, handle: int, delivery_count: int = 0, link_credit: int = 10, drain: bool = False) -> Flow:
    return Flow(
        next_incoming_id=0,
        incoming_window=1000,
        next_outgoing_id=0,
        outgoing_window=1000,
        handle=handle,
        delivery_count=delivery_count,
        link_credit=link_credit,
        drain=drain,
    )


def settle(number: int, state: Outcome, *, settled: bool = False) -> Disposition:
    return Disposition(role=True, first=number, settled=settled, state=state)


def token_request(audience: str) -> bytes:
    named = {"operation": "put-token", "type": "jwt", "name": audience}
    return request(named, string("any token"))


def request(properties: dict[str, str], body: bytes, *, message_id: bytes | None = None) -> bytes:
    """A request message; `body` and `message_id` (by default a new one) are encoded values."""
    message_id = uuid_value(uuid.uuid4()) if message_id is None else message_id
    return (
        described(Part.PROPERTIES, list_of([message_id]))
        + described(Part.APPLICATION_PROPERTIES, map_of((string(k), string(v)) for k, v in properties.items()))
        + described(Part.VALUE, body)
    )
