"""What the Azure adapters make of a service in trouble: real requests, through a proxy that breaks some of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_errors import Patience
from jobq.core.ports import create, merge
from jobq.errors import Conflict, LeaseLost, NotAllowed, ReplyLost, TooLarge, Unreachable
from tests.azurite import Azurite
from tests.fault_proxy import Break, FaultProxy, Say, running_proxy

LEASE = timedelta(seconds=60)
IMPATIENT = Patience(tries=3, budget=timedelta(seconds=3), answer=timedelta(seconds=0.5))
BUSY = Say(503, "ServerBusy")
THROTTLED = Say(429, "TooManyRequests")
TIMED_OUT = Say(500, "OperationTimedOut")


@pytest.fixture
async def proxy(azurite_process: Azurite) -> AsyncIterator[FaultProxy]:
    async with running_proxy(azurite_process) as proxy:
        yield proxy


@pytest.fixture
async def stack(proxy: FaultProxy) -> AsyncIterator[AzureStack]:
    stack = AzureStack.from_connection_string(proxy.connection_string, table="faults", patience=IMPATIENT)
    yield stack
    await stack.close()


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:20]}"


@pytest.mark.parametrize("fault", [BUSY, THROTTLED, TIMED_OUT], ids=lambda fault: str(fault.status))
async def test_throttled_commit_is_tried_again_and_succeeds(
    proxy: FaultProxy, stack: AzureStack, name: str, fault: Say
) -> None:
    proxy.break_next(fault, fault)

    [etag] = await stack.table.commit(name, [create("row", {"x": 1})])

    row = await stack.table.get(name, "row")
    assert row is not None
    assert row.etag == etag


async def test_throttled_transaction_is_tried_again_and_succeeds(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    changes = [create("a", {}), create("b", {})]
    proxy.break_next(BUSY, TIMED_OUT, only="$batch")

    etags = await stack.table.commit(name, changes)

    assert len(etags) == 2
    assert len([line for line in proxy.seen if "$batch" in line]) >= 3


@pytest.mark.parametrize("fault", [BUSY, TIMED_OUT], ids=lambda fault: str(fault.status))
async def test_throttled_queue_is_tried_again_and_succeeds(
    proxy: FaultProxy, stack: AzureStack, name: str, fault: Say
) -> None:
    queue = stack.queue(name)
    proxy.break_next(fault, fault)
    await queue.send([b"hello"])
    proxy.break_next(fault, fault)

    [delivery] = await queue.receive(1, lease=LEASE)

    assert delivery.body == b"hello"


async def test_retry_after_is_waited_for(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    await stack.queue(name).send([b"hello"])
    proxy.break_next(Say(503, "ServerBusy", {"Retry-After": "2"}))
    start = time.monotonic()

    await stack.queue(name).look(0)

    assert time.monotonic() - start >= 2


async def test_retry_after_beyond_our_patience_is_an_error_at_once(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    proxy.break_next(Say(503, "ServerBusy", {"Retry-After": "3600"}))

    with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
        await stack.queue(name).receive(1, lease=LEASE)

    assert len(proxy.seen) == 1


async def test_queue_that_stays_busy_is_unreachable_and_never_empty(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    proxy.break_next(*[BUSY] * 10)

    with pytest.raises(Unreachable):
        await stack.queue(name).receive(1, lease=LEASE)


async def test_write_that_stays_in_trouble_may_have_been_applied(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    proxy.break_next(*[TIMED_OUT] * 10)

    with pytest.raises(ReplyLost):
        await stack.table.commit(name, [create("row", {})])

    assert len(proxy.seen) == IMPATIENT.tries


@pytest.mark.parametrize("keys", [["a"], ["a", "b"]], ids=["one change", "transaction"])
async def test_commit_whose_reply_is_lost_says_so_and_was_applied(
    proxy: FaultProxy, stack: AzureStack, name: str, keys: list[str]
) -> None:
    await stack.table.commit(name, [create("warm", {})])
    proxy.break_next(Break.AFTER)

    with pytest.raises(ReplyLost):
        await stack.table.commit(name, [create(key, {}) for key in keys])

    assert len(proxy.seen) == 1
    assert [row.key for row in await stack.table.scan(name, "")] == [*keys, "warm"]


async def test_commit_reset_before_it_arrives_is_never_a_success(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    await stack.table.commit(name, [create("warm", {})])
    proxy.break_next(Break.BEFORE)

    with pytest.raises(Unreachable):
        await stack.table.commit(name, [create("row", {})])

    assert await stack.table.get(name, "row") is None


async def test_commit_that_is_never_answered_is_a_lost_reply(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    proxy.break_next(Break.STALL)

    with pytest.raises(ReplyLost):
        await stack.table.commit(name, [create("row", {})])


@pytest.mark.parametrize("fault", [Break.BEFORE, Break.AFTER, Break.STALL])
async def test_read_is_repeated_when_its_connection_breaks(
    proxy: FaultProxy, stack: AzureStack, name: str, fault: Break
) -> None:
    await stack.table.commit(name, [create("row", {})])
    proxy.break_next(fault)

    row = await stack.table.get(name, "row")

    assert row is not None
    assert len(proxy.seen) == 2


async def test_read_that_never_gets_through_is_unreachable(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    proxy.break_next(*[Break.BEFORE] * 10)

    with pytest.raises(Unreachable) as caught:
        await stack.queue(name).receive(1, lease=LEASE)

    assert not isinstance(caught.value, ReplyLost)


async def test_extend_whose_reply_is_lost_has_lost_the_lease(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    queue = stack.queue(name)
    await queue.send([b"hello"])
    [delivery] = await queue.receive(1, lease=LEASE)
    proxy.break_next(Break.AFTER)

    with pytest.raises(LeaseLost):
        await queue.extend(delivery, lease=LEASE)

    assert len(proxy.seen) == 1


async def test_extend_is_repeated_when_the_service_says_not_now(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    queue = stack.queue(name)
    await queue.send([b"hello"])
    [delivery] = await queue.receive(1, lease=LEASE)
    proxy.break_next(BUSY)

    renewed = await queue.extend(delivery, lease=LEASE)

    await queue.complete(renewed)
    assert (await queue.look(0)).messages == 0


@pytest.mark.parametrize("fault", [Break.AFTER, Break.STALL])
async def test_release_whose_reply_is_lost_is_sent_once(
    proxy: FaultProxy, stack: AzureStack, name: str, fault: Break
) -> None:
    queue = stack.queue(name)
    await queue.send([b"old"])
    [delivery] = await queue.receive(1, lease=LEASE)
    proxy.break_next(fault)

    with pytest.raises(ReplyLost):
        await queue.release(delivery, b"new")

    assert len(proxy.seen) == 1
    [again] = await queue.receive(1, lease=LEASE)
    assert again.body == b"new"


async def test_append_whose_reply_is_lost_is_not_doubled(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    await stack.blobs.append(name, b"one ")
    proxy.break_next(Break.AFTER)

    with pytest.raises(ReplyLost):
        await stack.blobs.append(name, b"two ")
    await stack.blobs.append(name, b"three")

    assert await stack.blobs.get(name) == b"one two three"


async def test_send_raises_when_one_of_many_messages_is_not_stored(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    await stack.queue(name).send([b"first"])
    proxy.break_next(Break.BEFORE)

    with pytest.raises(Unreachable):
        await stack.queue(name).send([b"%d" % n for n in range(50)])


async def test_refused_caller_is_told_what_is_missing(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    proxy.break_next(Say(403, "AuthorizationPermissionMismatch"))

    with pytest.raises(NotAllowed, match=f"devstoreaccount1 .* queue {name}"):
        await stack.queue(name).send([b"hello"])

    assert len(proxy.seen) == 1


async def test_conflict_after_a_retry_is_left_to_the_caller(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    [etag] = await stack.table.commit(name, [create("row", {"x": 1})])
    await stack.table.commit(name, [merge("row", {"x": 2}, etag)])
    proxy.break_next(TIMED_OUT)

    with pytest.raises(Conflict) as caught:
        await stack.table.commit(name, [merge("row", {"x": 3}, etag)])

    assert caught.value.index == 0


async def test_body_the_service_finds_too_large_is_too_large(proxy: FaultProxy, stack: AzureStack, name: str) -> None:
    proxy.break_next(Say(413, "RequestBodyTooLarge"))

    with pytest.raises(TooLarge):
        await stack.table.commit(name, [create("row", {})])


@pytest.mark.parametrize("kind", ["text/html", "application/octet-stream", "application/json", "application/xml"])
async def test_answer_of_a_gateway_is_trouble_whatever_it_looks_like(
    proxy: FaultProxy, stack: AzureStack, name: str, kind: str
) -> None:
    gateway = Say(502, headers={"Content-Type": kind}, body=b"<html>Bad <b>Gateway</html>")
    await stack.table.commit(name, [create("row", {})])
    await stack.queue(name).send([b"hello"])
    await stack.blobs.put(name, b"data")
    proxy.break_next(gateway)
    assert await stack.table.get(name, "row")
    proxy.break_next(gateway)
    assert (await stack.queue(name).look(0)).messages == 1
    proxy.break_next(gateway)
    assert await stack.blobs.get(name) == b"data"
    proxy.break_next(*[gateway] * IMPATIENT.tries)

    with pytest.raises(ReplyLost):
        await stack.table.commit(name, [create("other", {})])


async def test_foreign_message_with_forbidden_characters_does_not_block_the_queue(
    proxy: FaultProxy, stack: AzureStack, name: str
) -> None:
    message = b"<QueueMessage><MessageId>1</MessageId><DequeueCount>2</DequeueCount><PopReceipt>r</PopReceipt>"
    text = b"<MessageText>a&#x1;b</MessageText></QueueMessage>"
    body = b"<QueueMessagesList>%s%s</QueueMessagesList>" % (message, text)
    proxy.break_next(Say(200, headers={"Content-Type": "application/xml"}, body=body))

    [delivery] = await stack.queue(name).receive(1, lease=LEASE)

    assert (delivery.message_id, delivery.number, delivery.body) == ("1", 2, "a\ufffdb".encode())
