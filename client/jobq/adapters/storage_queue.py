"""The `TicketQueue` port on Azure Queue Storage."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import math
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypedDict
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from azure.core.exceptions import DecodeError, ResourceExistsError
from azure.storage.queue import QueueMessage

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_errors import Call, Refused
from jobq.adapters.azure_pipeline import ClientPipeline
from jobq.core.ports import NO_DELAY, Backlog, Delivery, QueueLimits, Waiting
from jobq.errors import LeaseLost, ReplyLost, TooLarge

LIMITS = QueueLimits(
    # The service takes 64 KiB of text: as it is where that is possible, else (see _plain) as base64, a third longer.
    max_body_bytes=45_000,
    max_lease=timedelta(days=7),
    max_delay=timedelta(days=7) - timedelta(minutes=1),
    max_receive=32,
    max_send=1,
    keeps_order=False,
    waits=False,
)
_MAX_TEXT_BYTES = 64 * 1024
_BASE64 = "base64:"
_AT_ONCE = 32
_FOR_EVER = -1
_XML = {"Accept": "application/xml", "Content-Type": "application/xml"}
# XML reads a bare carriage return as a line feed, and the SDK writes it bare.
_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BAD_XML = re.compile(r"&#(?:x[0-9a-fA-F]+|[0-9]+);|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_GONE = frozenset({"MessageNotFound", "QueueNotFound"})
_LOST = frozenset({"MessageNotFound", "QueueNotFound", "PopReceiptMismatch"})


class _Message(TypedDict):
    """A delivery as the service gives it."""

    message_id: str
    number: int
    body: bytes
    receipt: str


class StorageQueue:
    """One queue of a storage account, made at the first message where it does not exist."""

    limits = LIMITS

    def __init__(self, clients: AzureClients, name: str) -> None:
        self._clients = clients
        self._queue = clients.queues.get_queue_client(name)
        self._pipeline = ClientPipeline(self._queue)
        self._name = name

    async def open(self) -> None:
        """Nothing: the first message makes the queue."""

    async def send(self, bodies: Sequence[bytes], *, delay: timedelta = NO_DELAY) -> None:
        seconds = _seconds(delay, LIMITS.max_delay)
        messages = iter([_xml(body) for body in bodies])

        async def some() -> None:
            for message in messages:
                await self._put(message, seconds)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(_AT_ONCE, len(bodies))):
                    group.create_task(some())
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def receive(self, limit: int, *, lease: timedelta, wait: timedelta = NO_DELAY) -> list[Delivery]:
        number = max(1, min(limit, LIMITS.max_receive))
        seconds, asked_at = max(1, _seconds(lease, LIMITS.max_lease)), time.monotonic()
        call = Call("queue", f"get messages of queue {self._name}", is_read=True)
        try:
            messages = await self._clients.run(call, lambda: self._page(number, seconds))
        except Refused as refused:
            if refused.code != "QueueNotFound":
                raise
            return []
        left = _left(seconds, asked_at)
        return [Delivery(lease=left, **message) for message in messages]

    async def extend(self, delivery: Delivery, *, lease: timedelta) -> Delivery:
        seconds = max(1, _seconds(lease, LIMITS.max_lease))
        what = f"renew the lease of message {delivery.message_id} in queue {self._name}"
        call, asked_at = Call("queue", what, is_repeatable=False), time.monotonic()
        try:
            receipt = await self._update(call, delivery, None, seconds)
        except ReplyLost as error:
            raise LeaseLost(f"could not {what}, and its new receipt is unknown: {error}") from error
        return replace(delivery, receipt=receipt, lease=_left(seconds, asked_at))

    async def complete(self, delivery: Delivery) -> None:
        """Remove the message.

        The documentation has the service answer 404 both for a message that is gone and for one that somebody else
        has received since ("Delete Message"), so there 404 counts as gone; a message that comes again is dropped by
        what its job's row says. PopReceiptMismatch (Azurite, and some paths of the service) is LeaseLost.
        """
        call = Call("queue", f"delete message {delivery.message_id} of queue {self._name}")
        try:
            await self._clients.run(call, lambda: self._queue.delete_message(delivery.message_id, delivery.receipt))
        except Refused as refused:
            if refused.code == "PopReceiptMismatch":
                raise LeaseLost(f"could not {call.what}: another receiver has it") from refused
            if refused.code not in _GONE:
                raise

    async def release(self, delivery: Delivery, body: bytes, *, delay: timedelta = NO_DELAY) -> None:
        call = Call("queue", f"put back message {delivery.message_id} in queue {self._name}")
        await self._update(call, delivery, _text(body), _seconds(delay, LIMITS.max_delay))

    async def look(self, limit: int) -> Backlog:
        """The service shows messages that could be received now, and tells the time at which each was first sent."""
        counting = Call("queue", f"count the messages of queue {self._name}", is_read=True)
        peeking = Call("queue", f"look at the messages of queue {self._name}", is_read=True)
        number = min(limit, LIMITS.max_receive)
        try:
            properties = await self._clients.run(counting, self._queue.get_queue_properties)
            first = await self._clients.run(peeking, lambda: self._peek(number)) if number else []
        except Refused as refused:
            if refused.code != "QueueNotFound":
                raise
            return Backlog(0)
        return Backlog(properties.approximate_message_count or 0, tuple(first))

    async def _put(self, message: bytes, delay_seconds: int) -> None:
        call = Call("queue", f"put a message in queue {self._name}")
        path = f"/messages?visibilitytimeout={delay_seconds}&messagettl={_FOR_EVER}"

        async def put() -> None:
            await self._pipeline.post(path, _XML, message)

        try:
            await self._clients.run(call, put)
        except Refused as refused:
            if refused.code != "QueueNotFound":
                raise
            await self._make()
            await self._clients.run(call, put)

    async def _page(self, number: int, seconds: int) -> list[_Message]:
        # A page is one request. To iterate over the messages themselves would go on until the queue is empty.
        pages = self._queue.receive_messages(messages_per_page=number, visibility_timeout=seconds).by_page()
        try:
            return [_message(message) async for message in await anext(pages)]
        except StopAsyncIteration:
            return []
        except DecodeError as error:
            # Somebody else's message holds what XML forbids, and the service passed it on. It must not block the queue.
            if error.response is None:
                raise
            return _messages(error.response.text())

    async def _peek(self, number: int) -> list[Waiting]:
        now = datetime.now(UTC)
        try:
            messages = await self._queue.peek_messages(number)
        except DecodeError as error:  # as in _page
            if error.response is None:
                raise
            found = _children(error.response.text())
            times = [(one.get("MessageText", ""), parsedate_to_datetime(one["InsertionTime"])) for one in found]
        else:
            times = [(message.content or "", message.inserted_on or now) for message in messages]
        return [Waiting(_body(text), max(NO_DELAY, now - sent_at)) for text, sent_at in times]

    async def _update(self, call: Call, delivery: Delivery, text: str | None, seconds: int) -> str:
        """The new receipt."""

        async def update() -> str:
            message = await self._queue.update_message(
                delivery.message_id, delivery.receipt, content=text, visibility_timeout=seconds
            )
            return str(message.pop_receipt)

        try:
            return await self._clients.run(call, update)
        except Refused as refused:
            if refused.code not in _LOST:
                raise
            why = f"another receiver has it, or it is gone ({refused.code})"
            raise LeaseLost(f"could not {call.what}: {why}") from refused

    async def _make(self) -> None:
        async def make() -> None:
            with contextlib.suppress(ResourceExistsError):  # what the SDK makes of "204, it was there already"
                await self._queue.create_queue()

        try:
            await self._clients.run(Call("queue", f"make queue {self._name}"), make)
        except Refused as refused:
            if refused.code != "QueueAlreadyExists":
                raise


def _seconds(duration: timedelta, most: timedelta) -> int:
    """Whole seconds, rounded up: a lease or a delay is never shorter than asked for."""
    if not NO_DELAY <= duration <= most:
        raise ValueError(f"{duration} is not between 0 and {most}")
    return math.ceil(duration.total_seconds())


def _text(body: bytes) -> str:
    if len(body) > LIMITS.max_body_bytes:
        raise TooLarge(f"a message of a Storage queue takes {LIMITS.max_body_bytes} bytes, not {len(body)}")
    plain = _plain(body)
    return _BASE64 + base64.b64encode(body).decode() if plain is None else plain


def _xml(body: bytes) -> bytes:
    return b"<QueueMessage><MessageText>%s</MessageText></QueueMessage>" % escape(_text(body)).encode()


def _plain(body: bytes) -> str | None:
    """The body as text; None where XML cannot carry it, or not in 64 KiB, or where it would be read as base64."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    if text.startswith(_BASE64) or _NOT_IN_XML.search(text):
        return None
    return text if len(escape(text).encode()) <= _MAX_TEXT_BYTES else None


def _body(text: str) -> bytes:
    """What was sent; a foreign message is what its text says, even where it only looks like our base64."""
    if text.startswith(_BASE64):
        with contextlib.suppress(ValueError):
            return base64.b64decode(text.removeprefix(_BASE64), validate=True)
    return text.encode()


def _left(seconds: int, asked_at: float) -> timedelta:
    """Of a lease that began at some time after `asked_at`."""
    return timedelta(seconds=max(0.0, asked_at + seconds - time.monotonic()))


def _message(message: QueueMessage) -> _Message:
    return _Message(
        message_id=message.id,
        number=message.dequeue_count or 0,
        body=_body(message.content or ""),
        receipt=message.pop_receipt or "",
    )


def _messages(answer: str) -> list[_Message]:
    return [_message_of(found) for found in _children(answer)]


def _children(answer: str) -> list[dict[str, str]]:
    """The messages of an answer that is no XML because of forbidden characters, with others in their place."""
    tree = ElementTree.fromstring(_BAD_XML.sub("\ufffd", answer))  # noqa: S314 - expat expands no outside entities
    return [{child.tag: child.text or "" for child in message} for message in tree.iter("QueueMessage")]


def _message_of(found: dict[str, str]) -> _Message:
    return _Message(
        message_id=found["MessageId"],
        number=int(found["DequeueCount"]),
        body=_body(found.get("MessageText", "")),
        receipt=found["PopReceipt"],
    )
