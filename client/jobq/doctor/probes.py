"""What jobq does with a backend, done once with things of no consequence, which are removed afterwards."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import timedelta

from jobq.core.ports import BlobStore, Table, TicketQueue, create, delete, merge
from jobq.errors import JobqError, Unreachable
from jobq.model.ticket import encode_reference, encode_ticket

_PARTITION = "doctor"
"""Of no realm: those have a `~` in theirs."""


def new_name() -> str:
    return f"doctor-{secrets.token_hex(8)}"


def new_body() -> bytes:
    """A ticket of no job: whoever receives it, should it stay, drops it."""
    return encode_ticket(new_name(), [encode_reference(new_name(), 0)])


async def try_table(table: Table) -> str:
    """Create, read, change and delete a row."""
    key = new_name()
    try:
        [etag] = await table.commit(_PARTITION, [create(key, {"n": 1})])
        await table.commit(_PARTITION, [merge(key, {"n": 2}, etag)])
        row = await table.get(_PARTITION, key)
        rows = await table.scan(_PARTITION, key)
        if row is None or row.values.get("n") != 2 or [one.key for one in rows] != [key]:
            raise Unreachable("the table does not give back the row that was written; is it another service's?")
        await table.commit(_PARTITION, [delete(key, row.etag)])
    except BaseException:
        with suppress(JobqError):
            if row := await table.get(_PARTITION, key):
                await table.commit(_PARTITION, [delete(key, row.etag)])
        raise
    return "created, read, changed and deleted a row"


async def try_blobs(blobs: BlobStore) -> str:
    """Write, append to, read, list and delete blobs."""
    whole, grown = new_name(), new_name()
    try:
        await blobs.put(whole, b"doctor")
        await blobs.append(grown, b"doctor")
        if await blobs.get(whole) != b"doctor" or await blobs.list(grown) != [grown]:
            raise Unreachable("the store does not give back the blob that was written; is it another service's?")
    except BaseException:
        with suppress(JobqError):
            await _remove(blobs, whole, grown)
        raise
    await _remove(blobs, whole, grown)
    return "wrote, appended, read, listed and deleted blobs"


async def try_queue(queue: TicketQueue) -> str:
    """Send, receive, renew and complete a message, in a queue that is nobody else's."""
    lease = timedelta(minutes=1)
    await queue.send([new_body()])
    for delivery in await queue.receive(1, lease=lease):
        await queue.complete(await queue.extend(delivery, lease=lease))
        return "sent, received, renewed and deleted a message"
    raise Unreachable("the queue does not give back the message that was sent; does somebody else receive from it?")


async def _remove(blobs: BlobStore, *keys: str) -> None:
    for key in keys:
        await blobs.delete(key)
