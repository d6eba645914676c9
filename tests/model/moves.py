"""Steps that many actors make, and questions they ask, as plain functions of a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from jobq.model.job import JobState
from tests.model.states import IDLE, Message, Promise, Row, Slot, State

T = TypeVar("T")

HOLDING = ("hold", "extended", "letgo")
"""What a caller, or the service for it, does while the job is checked out."""

UNANSWERED = ("complete", "undo")
"""What the service does when the ticket that ends the lease is on its way, and the caller not told yet."""

EXECUTING = ("run", "record", "reread", *HOLDING)
"""What a worker does while it takes a job for its own."""


def etag_of(row: Row | None) -> int:
    return row.etag if row else 0


def operated(state: State, call: str, knows: int) -> State:
    return state._replace(operator=(state.operator[0], call, knows))


def after_call(slot: Slot) -> Slot:
    """What a worker does after a call that went well: send what it owes, forget that, run on, settle."""
    if slot.owes:
        return slot._replace(at="return")
    if slot.forgets:
        return slot._replace(at="forget")
    if slot.todo:
        return slot._replace(at="run")
    return slot._replace(at="settle") if slot.message else IDLE


def etag_to_send(row: Row | None, generation: int) -> int:
    """Of a queued job that was never tried; others are sent as references."""
    is_as_promised = row is not None and row.state is JobState.QUEUED and row.generation == generation
    return row.etag if row is not None and is_as_promised and not row.attempt else 0


def send(
    state: State,
    promise: Promise,
    etags: Sequence[int] | dict[int, int] | None = None,
    *,
    ticket: int = 0,
    is_delayed: bool = False,
) -> State:
    known = [message.id for message in state.messages] + [slot.message for slot in state.slots]
    known += [max(row.message, row.claim // 100) for row in state.rows if row]
    entries = tuple((job, generation, etags[job] if etags else 0) for job, generation in promise)
    message = Message(1 + max(known), entries, is_held=is_delayed, ticket=ticket)
    return state._replace(messages=(*state.messages, message))


def index_of(state: State, message_id: int) -> int:
    return next((index for index, message in enumerate(state.messages) if message.id == message_id), -1)


def may_settle(state: State, slot: Slot) -> bool:
    """Whether its receipt is good: nobody has received the message since."""
    index = index_of(state, slot.message)
    return index >= 0 and state.messages[index].number == slot.number and not state.messages[index].is_dead


def is_lease(message: Message, slot: Slot) -> bool:
    """Whether what the slot has lasts until this message comes, if it lasts so long."""
    is_next = slot.following != 0 and message.ticket == slot.following
    return is_next if slot.at in HOLDING else message.id == slot.message or (is_next and slot.at in UNANSWERED)


def holds(state: State, slot: Slot) -> bool:
    if slot.at in (*HOLDING, *UNANSWERED):
        ends = [message for message in state.messages if is_lease(message, slot)]
        numbers = (slot.number, 0)[slot.at in HOLDING], 0
        return bool(ends) and all(message.is_held and message.number in numbers for message in ends)
    index = index_of(state, slot.message) if slot.at != "idle" else -1
    return index >= 0 and state.messages[index].number == slot.number and state.messages[index].is_held


def counted(state: State, slot: Slot) -> tuple[int, ...]:
    """Losses of each job with one more for what the slot runs, or was about to run."""
    hit = {slot.todo[0][0]} if slot.at in EXECUTING else {job for job, _, _ in slot.entries}
    return tuple(count + (job in hit) for job, count in enumerate(state.lost))


def named(slot: Slot) -> str:
    return f"the holder of m{slot.message}#{slot.number}"


def with_item(items: Sequence[T], index: int, item: T) -> tuple[T, ...]:
    return (*items[:index], item, *items[index + 1 :])
