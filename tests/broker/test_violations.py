"""The broker hangs up on who breaks the protocol, and writes it down. The last test is about a fault of the SDK's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from azure.servicebus import ServiceBusMessage

from tests.broker import LOSE_REPLY, Broker, QueueSpec
from tests.broker.fields import Accepted, Released
from tests.broker.frames import AMQP_HEADER, encode_frame
from tests.broker.misdeeds import BODY, MISDEEDS, Misdeed, holding_a_message, message, ready_to_send
from tests.broker.performatives import Close, Detach, End, Open
from tests.broker.raw_peer import RawPeer, credit, raw_peer, receiver, settle
from tests.broker.sdk import connected


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    async with Broker(QueueSpec("q")) as broker:
        yield broker


@pytest.fixture
async def peer(broker: Broker) -> AsyncIterator[RawPeer]:
    async with raw_peer(broker) as peer:
        yield peer


@pytest.mark.parametrize("misdeed", MISDEEDS, ids=lambda misdeed: misdeed.__name__)
async def test_peer_that_breaks_the_protocol_is_hung_up_on(broker: Broker, peer: RawPeer, misdeed: Misdeed) -> None:
    condition, words = MISDEEDS[misdeed]

    await misdeed(peer)
    close = await peer.expect(Close)

    [violation] = broker.violations
    assert violation.startswith("connection 1")
    assert words in violation
    assert close.error is not None
    assert close.error.condition == condition


@pytest.mark.parametrize("first", [encode_frame(0, Open(container_id="c")), AMQP_HEADER], ids=["frame", "no SASL"])
async def test_connection_begins_with_the_header_of_sasl(broker: Broker, peer: RawPeer, first: bytes) -> None:
    peer.send_bytes(first)

    await peer.end()

    [violation] = broker.violations
    assert "in place of the protocol header" in violation


async def test_second_outcome_is_a_violation_also_before_the_first_is_answered(broker: Broker, peer: RawPeer) -> None:
    broker.fault("complete", LOSE_REPLY)
    await holding_a_message(peer)

    peer.send(settle(1, Accepted()), settle(1, Released()))
    await peer.expect(Close)

    assert "a second outcome for delivery 1" in broker.violations[0]


async def test_mistake_of_the_broker_itself_does_not_go_unnoticed(
    broker: Broker, peer: RawPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker.queue("q"), "lock_next", lambda: 1 / 0)
    await ready_to_send(peer)
    peer.send(receiver("q", handle=6), credit(handle=6), message(1), payload=BODY)

    close = await peer.expect(Close)

    assert close.error is not None
    assert close.error.condition == "amqp:internal-error"
    assert "the broker itself failed: ZeroDivisionError" in broker.violations[0]


async def test_detaching_after_the_end_of_the_session_is_forgiven(broker: Broker, peer: RawPeer) -> None:
    """The SDK does so whenever it closes a client that has used `$management`."""
    await ready_to_send(peer)

    peer.send(End(), Detach(handle=5))
    peer.send(Close(), channel=0)
    await peer.expect(Close)

    assert broker.violations == []


async def test_violation_of_one_connection_leaves_the_others_alone(broker: Broker, peer: RawPeer) -> None:
    await ready_to_send(peer)
    async with raw_peer(broker) as culprit:
        await culprit.ready("q")
        culprit.send(Detach(handle=9))
        await culprit.expect(Close)

    peer.send(Detach(handle=5))

    await peer.expect(Detach)
    assert len(broker.violations) == 1


async def test_concurrent_renewals_on_one_receiver_break_the_protocol() -> None:
    """The SDK gives several transfers the same delivery-id: its receivers are not for concurrent use."""
    async with Broker(QueueSpec("q", lock=timedelta(minutes=5))) as broker, connected(broker) as client:
        async with client.get_queue_sender("q") as sender, client.get_queue_receiver("q") as receiver:
            await sender.send_messages([ServiceBusMessage(b"x") for _ in range(20)])
            received = await receiver.receive_messages(20, max_wait_time=5)

            await asyncio.gather(*map(receiver.renew_message_lock, received), return_exceptions=True)

        assert any("delivery-ids of a session that are not sequential" in line for line in broker.violations)
