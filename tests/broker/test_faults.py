"""Each kind of fault does what it says, and what the SDK makes of it.

The SDK is slow at giving up, so each test runs its faults side by side, every one with a broker of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusError

from tests.broker import DETACH, DROP_AFTER, DROP_BEFORE, IGNORE, LOSE_REPLY, Broker, Delay, QueueSpec, Refuse
from tests.broker.errors import AmqpError
from tests.broker.faults import Deed, Fault, Faults
from tests.broker.sdk import both_ends, clean_broker, connected, messages, opened, receive
from tests.broker.store import Queue

BUSY = Refuse("com.microsoft:server-busy", "later")
NOT_DONE: list[Fault] = [BUSY, DROP_BEFORE, IGNORE, DETACH]
DONE: list[Fault] = [DROP_AFTER, LOSE_REPLY]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Stage:
    """A broker, and both ends of its queue `q`."""

    broker: Broker
    sender: ServiceBusSender
    receiver: ServiceBusReceiver

    @property
    def queue(self) -> Queue:
        return self.broker.queue("q")


async def with_each(faults: Iterable[Fault], act: Callable[[Stage, Fault], Awaitable[Result]]) -> dict[Fault, Result]:
    """What `act` comes to, by fault."""

    async def one(fault: Fault) -> Result:
        patience = 2 if fault in (IGNORE, LOSE_REPLY) else 20
        async with clean_broker(QueueSpec("q")) as broker, connected(broker, try_timeout=patience) as client:
            async with both_ends(client, settle_seconds=0.5) as (sender, receiver):
                return await act(Stage(broker, sender, receiver), fault)

    faults = [*faults]
    return dict(zip(faults, await asyncio.gather(*map(one, faults)), strict=True))


async def test_send_is_tried_again_and_so_done_twice_if_only_its_answer_was_lost() -> None:
    async def act(stage: Stage, fault: Fault) -> int:
        stage.broker.fault("send", fault)
        await stage.sender.send_messages(messages("a"))
        return stage.queue.active_count

    sent: dict[Fault, int] = dict.fromkeys(NOT_DONE, 1) | dict.fromkeys(DONE, 2)
    assert await with_each(sent, act) == sent


async def test_schedule_whose_answer_is_lost_is_done_twice() -> None:
    async def act(stage: Stage, fault: Fault) -> int:
        stage.broker.fault("schedule", fault)
        await stage.sender.schedule_messages(messages("a"), datetime.now(UTC) + timedelta(minutes=1))
        return stage.queue.scheduled_count

    assert await with_each(DONE, act) == dict.fromkeys(DONE, 2)


async def test_completion_that_was_not_done_is_done_over_management() -> None:
    async def act(stage: Stage, fault: Fault) -> tuple[int, int]:
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(stage.receiver)
        stage.broker.fault("complete", fault)
        await stage.receiver.complete_message(message)
        return len(stage.queue.messages()), stage.broker.counts["management"]

    assert await with_each(NOT_DONE, act) == dict.fromkeys(NOT_DONE, (0, 1))


async def test_completion_whose_answer_is_lost_looks_like_a_lost_lock() -> None:
    async def act(stage: Stage, fault: Fault) -> int:
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(stage.receiver)
        stage.broker.fault("complete", fault)
        with pytest.raises(MessageLockLostError):
            await stage.receiver.complete_message(message)
        return len(stage.queue.messages())

    assert await with_each(DONE, act) == dict.fromkeys(DONE, 0)


async def test_renewal_is_tried_again() -> None:
    async def act(stage: Stage, fault: Fault) -> int:
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(stage.receiver)
        stage.broker.fault("renew-lock", fault)
        await stage.receiver.renew_message_lock(message)
        return stage.broker.counts["renewed"]

    renewals: dict[Fault, int] = {BUSY: 1, DROP_BEFORE: 1, IGNORE: 1, DROP_AFTER: 2, LOSE_REPLY: 2}
    assert await with_each(renewals, act) == renewals


async def test_renewal_is_not_tried_again_if_its_link_is_detached() -> None:
    async def act(stage: Stage, fault: Fault) -> int:
        receiver = stage.receiver
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(receiver)
        stage.broker.fault("renew-lock", fault)
        with pytest.raises(ServiceBusError, match="Management Operation error"):
            await receiver.renew_message_lock(message)
        # Nor can the receiver be used for what it holds, before it has received again.
        with pytest.raises(ValueError, match="already been shutdown"):
            await receiver.complete_message(message)
        await receiver.receive_messages(max_wait_time=3)
        await receiver.complete_message(message)
        return len(stage.queue.messages())

    assert await with_each([DETACH], act) == {DETACH: 0}


async def test_message_that_was_not_delivered_comes_when_the_receiver_is_back() -> None:
    async def act(stage: Stage, fault: Fault) -> int | None:
        stage.broker.fault("deliver", fault)
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(stage.receiver)
        return message.delivery_count

    assert await with_each([DROP_BEFORE, DETACH], act) == {DROP_BEFORE: 0, DETACH: 0}


async def test_message_that_was_lost_on_its_way_stays_locked() -> None:
    async def act(stage: Stage, fault: Fault) -> int | None:
        stage.broker.fault("deliver", fault)
        await stage.sender.send_messages(messages("a"))
        assert await stage.receiver.receive_messages(max_wait_time=3) == []
        assert stage.queue.locked_count == 1
        stage.queue.expire_locks()
        [message] = await receive(stage.receiver)
        return message.delivery_count

    assert await with_each(DONE, act) == dict.fromkeys(DONE, 1)


async def test_answer_can_be_late() -> None:
    late: dict[Fault, str] = {
        Delay(0.25 + n / 1000): name for n, name in enumerate(["send", "deliver", "complete", "renew-lock", "peek"])
    }

    async def act(stage: Stage, fault: Fault) -> float:
        stage.broker.fault(late[fault], fault)
        start = time.monotonic()
        await stage.sender.send_messages(messages("a"))
        [message] = await receive(stage.receiver)
        await stage.receiver.renew_message_lock(message)
        await stage.receiver.peek_messages()
        await stage.receiver.complete_message(message)
        return time.monotonic() - start

    assert min((await with_each(late, act)).values()) > 0.25


async def test_trouble_at_the_start_is_overcome() -> None:
    async def one(operation: str, fault: Fault) -> int:
        # The second try must close what failed, for which the SDK takes a second, and open it again.
        async with clean_broker(QueueSpec("q")) as broker, connected(broker, try_timeout=4) as client:
            broker.fault(operation, fault)
            sender = client.get_queue_sender("q")
            async with opened(sender):
                await sender.send_messages(messages("a"))
            return broker.queue("q").active_count

    always: list[Fault] = [DROP_BEFORE, DROP_AFTER, IGNORE, LOSE_REPLY, Delay(0.2)]
    more: dict[str, list[Fault]] = {"open": [BUSY], "put-token": [], "attach": [BUSY, DETACH]}
    troubles = [(operation, fault) for operation, faults in more.items() for fault in [*always, *faults]]

    assert await asyncio.gather(*(one(*trouble) for trouble in troubles)) == [1] * len(troubles)


class Line:
    """A connection and a link in one, which notes what is done to it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.is_attached = True

    def run(self, step: Callable[[], None]) -> None:
        step()

    def cut(self) -> None:
        self.notes.append("cut")

    def detach(self, error: AmqpError) -> None:
        self.notes.append("detached")

    def deed(self, queue: str) -> Deed[None]:
        return Deed(
            "send",
            queue,
            self,
            do=lambda: self.notes.append("done"),
            answer=lambda _: self.notes.append("answered"),
            refuse=lambda error: self.notes.append(error.condition),
            link=self,
        )


@pytest.mark.parametrize(
    ("fault", "notes"),
    [
        (Refuse("a:condition"), ["a:condition"]),
        (DROP_BEFORE, ["cut"]),
        (DROP_AFTER, ["done", "cut"]),
        (LOSE_REPLY, ["done"]),
        (IGNORE, []),
        (DETACH, ["detached"]),
    ],
    ids=str,
)
def test_fault_does_what_it_says(fault: Fault, notes: list[str]) -> None:
    faults, line = Faults(), Line()
    faults.plan("send", fault)

    faults.carry_out(line.deed("q"))
    faults.carry_out(line.deed("q"))

    assert line.notes == [*notes, "done", "answered"]


def test_faults_wait_for_their_turn_and_are_used_up_in_order() -> None:
    faults, line = Faults(), Line()
    faults.plan("send", DROP_BEFORE, queue="Q", after=1, times=2)
    faults.plan("send", DETACH)
    faults.plan("complete", DETACH)

    left = []
    for queue in ("q", "another", "q", "q", "q"):
        faults.carry_out(line.deed(queue))
        left.append(faults.left)

    assert line.notes == ["detached", "done", "answered", "cut", "cut", "done", "answered"]
    assert left == [3, 3, 2, 1, 1]


@pytest.mark.parametrize(("operation", "fault"), [("sent", BUSY), ("deliver", BUSY), ("deliver", IGNORE)], ids=str)
def test_fault_that_can_never_happen_is_refused(operation: str, fault: Fault) -> None:
    with pytest.raises(ValueError):
        Faults().plan(operation, fault)
