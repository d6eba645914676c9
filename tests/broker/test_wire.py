"""What the broker does on the wire that the SDK does not show: drain, echo, heartbeats, windows, frames of any size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.broker import DETACH, Broker, QueueSpec
from tests.broker.encode import map_of
from tests.broker.fields import Accepted, Modified, Released
from tests.broker.misdeeds import BODY, holding_a_message, message, ready_to_send
from tests.broker.performatives import Attach, Close, Detach, Disposition, End, Flow, Transfer
from tests.broker.raw_peer import RawPeer, credit, raw_peer, receiver, request, sender, settle
from tests.broker.store import Queue
from tests.broker.store_steps import post
from tests.until import until


@pytest.fixture
async def peer(broker: Broker) -> AsyncIterator[RawPeer]:
    async with raw_peer(broker) as peer:
        yield peer


async def test_drain_gives_what_is_there_and_uses_up_the_rest_of_the_credit(peer: RawPeer, queue: Queue) -> None:
    await peer.ready("q")
    post(queue, BODY, BODY)

    peer.send(receiver("q", handle=6), credit(handle=6, link_credit=5, drain=True))

    assert (await peer.expect(Transfer)).delivery_id == 1
    assert (await peer.expect(Transfer)).delivery_id == 2
    flow = await peer.expect(Flow)
    assert (flow.handle, flow.drain, flow.link_credit, flow.delivery_count) == (6, True, 0, 5)
    post(queue, BODY)
    assert queue.locked_count == 2


async def test_queue_can_be_filled_before_the_broker_listens() -> None:
    broker = Broker(QueueSpec("q"))
    post(broker.queue("q"), BODY)

    async with broker, raw_peer(broker) as peer:
        await peer.ready("q")
        peer.send(receiver("q", handle=6), credit(handle=6, link_credit=2))
        assert (await peer.expect(Transfer)).delivery_id == 1
        post(broker.queue("q"), BODY)
        assert (await peer.expect(Transfer)).delivery_id == 2


async def test_credit_that_is_taken_back_is_not_used(peer: RawPeer, queue: Queue) -> None:
    await peer.ready("q")
    peer.send(receiver("q", handle=6), credit(handle=6), credit(handle=6, link_credit=0, drain=True))
    await peer.expect(Flow)

    post(queue, BODY)
    peer.send(Flow(next_incoming_id=1, incoming_window=9, next_outgoing_id=0, outgoing_window=9, echo=True))
    await peer.expect(Flow)

    assert queue.active_count == 1


async def test_flow_that_asks_for_an_echo_gets_one(peer: RawPeer) -> None:
    await ready_to_send(peer)
    await peer.expect(Flow)

    peer.send(Flow(next_incoming_id=1, incoming_window=9, next_outgoing_id=0, outgoing_window=9, handle=5, echo=True))

    flow = await peer.expect(Flow)
    assert (flow.handle, flow.delivery_count) == (5, 0)
    assert flow.link_credit


async def test_settlements_are_confirmed_with_the_same_outcome(peer: RawPeer, queue: Queue) -> None:
    await peer.ready("q")
    post(queue, BODY, BODY)
    peer.send(receiver("q", handle=6), credit(handle=6, link_credit=2))
    await peer.expect(Transfer)
    await peer.expect(Transfer)
    again = Modified(delivery_failed=True, undeliverable_here=True)

    peer.send(settle(1, Accepted()), settle(2, again))

    expected = [Disposition(role=False, first=1, last=1, settled=True, state=Accepted())]
    expected += [Disposition(role=False, first=2, last=2, settled=True, state=again)]
    assert [await peer.expect(Disposition) for _ in range(2)] == expected


async def test_one_disposition_can_settle_many(peer: RawPeer, queue: Queue) -> None:
    await peer.ready("q")
    post(queue, BODY, BODY, BODY)
    peer.send(receiver("q", handle=6), credit(handle=6, link_credit=3))
    await until(lambda: queue.locked_count == 3)

    peer.send(Disposition(role=True, first=1, last=3, settled=True, state=Released()))

    await until(lambda: queue.active_count == 3)


async def test_settlement_that_crosses_with_a_forced_detach_is_ignored(
    broker: Broker, peer: RawPeer, queue: Queue
) -> None:
    await holding_a_message(peer)
    post(queue, BODY)
    broker.fault("deliver", DETACH)
    peer.send(credit(handle=6, delivery_count=1), settle(1, Accepted()), Detach(handle=6, closed=True))

    await peer.expect(Detach)
    peer.send(End())
    await peer.expect(End)

    assert (queue.locked_count, queue.active_count) == (1, 1)


async def test_frame_for_a_link_that_was_detached_by_force_is_dropped(broker: Broker, peer: RawPeer) -> None:
    """The SDK sends a flow for it before it looks at the state of the link."""
    await ready_to_send(peer)
    broker.fault("send", DETACH)
    peer.send(message(1), payload=BODY)
    await peer.expect(Detach)

    peer.send(Detach(handle=5, closed=True), message(2), credit(handle=5), Detach(handle=5))
    peer.send(receiver("q", handle=5))

    assert (await peer.expect(Attach)).role is False


async def test_large_message_comes_in_frames_of_the_peers_size(broker: Broker, peer: RawPeer, queue: Queue) -> None:
    await peer.open(max_frame_size=512)
    await peer.begin()
    await peer.put_token("sb://h/q")
    post(queue, large := BODY * 500)
    peer.send(receiver("q", handle=6), credit(handle=6, link_credit=1))

    first = await peer.expect(Transfer)
    frames = [first]
    while frames[-1].more:
        frames.append(await peer.expect(Transfer))

    assert len(frames) > len(large) / 512
    assert {frame.delivery_id for frame in frames[1:]} == {None}


async def test_broker_waits_for_room_in_the_peers_window(broker: Broker, peer: RawPeer, queue: Queue) -> None:
    await peer.open()
    await peer.begin(incoming_window=2)
    await peer.put_token("sb://h/q")
    post(queue, BODY, BODY)
    peer.send(receiver("q", handle=6))
    peer.send(replace(credit(handle=6), next_incoming_id=1, incoming_window=1))
    assert (await peer.expect(Transfer)).delivery_id == 1

    peer.send(Flow(next_incoming_id=2, incoming_window=1, next_outgoing_id=0, outgoing_window=9))

    assert (await peer.expect(Transfer)).delivery_id == 2


async def test_aborted_message_is_not_sent(peer: RawPeer, queue: Queue) -> None:
    await ready_to_send(peer)

    peer.send(message(1, more=True), payload=BODY)
    peer.send(Transfer(handle=5, aborted=True))
    peer.send(message(2), payload=BODY)

    await until(lambda: queue.active_count)
    assert [one.posted.content for one in queue.messages()] == [BODY]


async def test_message_that_was_sent_settled_is_not_answered(peer: RawPeer, queue: Queue) -> None:
    await ready_to_send(peer)

    peer.send(replace(message(1), settled=True), message(2), payload=BODY)

    assert (await peer.expect(Disposition)).first == 2
    assert queue.active_count == 2


async def test_peer_that_fears_silence_hears_heartbeats(peer: RawPeer) -> None:
    await peer.open(idle_time_out=100)

    await peer.heartbeat()
    await peer.heartbeat()


async def test_session_can_begin_again_on_its_channel(peer: RawPeer) -> None:
    await ready_to_send(peer)
    peer.send(End())
    await peer.expect(End)

    await peer.begin()
    peer.send(receiver("q", handle=5))

    assert (await peer.expect(Attach)).handle == 5


async def test_close_is_answered(peer: RawPeer) -> None:
    await ready_to_send(peer)

    peer.send(Close(), channel=0)

    assert (await peer.expect(Close)).error is None
    await peer.end()


@pytest.mark.parametrize("address", ["nowhere", "nowhere/$management", ""])
async def test_refused_link_has_no_source_and_no_target(peer: RawPeer, address: str) -> None:
    await peer.ready("nowhere")

    peer.send(receiver(address, handle=5))

    attach, detach = await peer.expect(Attach), await peer.expect(Detach)
    assert (attach.handle, attach.source, attach.target) == (5, None, None)
    assert detach.closed
    assert detach.error is not None
    assert detach.error.condition == "amqp:not-found"


async def test_operation_that_does_not_exist_is_not_implemented(peer: RawPeer) -> None:
    await peer.ready("q")
    peer.send(receiver("q/$management", handle=4), credit(handle=4), sender("q/$management", handle=5))

    peer.send(message(1), payload=request({"operation": "com.microsoft:fly"}, map_of([])))

    reply = await peer.reply()
    assert reply["statusCode"] == 501
    assert reply["errorCondition"] == "amqp:not-implemented"


async def test_replies_wait_for_credit(peer: RawPeer) -> None:
    """The SDK gives a receiver's management link credit for 10,000 replies, once; after them it hears no more."""
    await peer.ready("q")
    peer.send(receiver("q/$management", handle=4), credit(handle=4, link_credit=1), sender("q/$management", handle=5))
    for number in (1, 2):
        peer.send(message(number), payload=request({"operation": "fly"}, map_of([])))
    await peer.reply()

    peer.send(Flow(next_incoming_id=2, incoming_window=9, next_outgoing_id=3, outgoing_window=9, echo=True))
    await peer.expect(Flow)
    peer.send(replace(credit(handle=4, delivery_count=1), next_incoming_id=2))

    await peer.reply()
