"""Checkout: what the service does for a caller, from the claim to the answer, and what the caller may say then.

A caller's lease lasts until the ticket comes that its row names as next. What it says is read and written in one step:
a write has the etag that was read, so whatever comes between is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobq.model.job import JobState
from tests.model.decisions import FRESH, Decisions
from tests.model.moves import counted, may_settle, named, send, with_item
from tests.model.states import IDLE, Case, Row, Slot, State, Step


class Callers:
    case: Case
    decisions: Decisions

    def _next(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        sent = send(state, ((0, slot.entries[0][1]),), ticket=slot.following, is_delayed=True).messages
        then = "complete" if self.case.rules.next_first else "hold"
        yield Step(f"{named(slot)} sends the next ticket", now(slot._replace(at=then), messages=sent))
        if state.lost_replies:
            lost = now(slot._replace(at="undo"), messages=sent, lost_replies=state.lost_replies - 1)
            yield Step(f"{named(slot)} sends the next ticket; reply lost", lost, is_fault=True)

    def _complete(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """Only then the caller is answered."""
        rest = tuple(message for message in state.messages if message.id != slot.message)
        answered = slot._replace(at="hold" if self.case.rules.next_first else "next")
        if not may_settle(state, slot):
            failed = slot._replace(at="undo") if self.case.rules.completed_only else answered
            yield Step(f"{named(slot)} cannot complete", now(failed))
            return
        yield Step(f"{named(slot)} completes its message", now(answered, messages=rest))
        if state.lost_replies:
            for what, messages in (("applied", rest), ("not sent", state.messages)):
                unsure = slot._replace(at="undo") if self.case.rules.completed_only else answered
                lost = now(unsure, messages=messages, lost_replies=state.lost_replies - 1)
                yield Step(f"{named(slot)} completes its message; reply lost ({what})", lost, is_fault=True)

    def _undo(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        row = state.rows[0]
        if row is None or not self.decisions.is_callers(row, slot):
            yield Step(f"{named(slot)} has lost the job that it would put back", now(IDLE))
            return
        yield from self._says(state, slot, row, "back", now)

    def _hold(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        row = state.rows[0]
        if row is None or not self.decisions.is_callers(row, slot):
            yield Step(f"{named(slot)} is told that its lease is lost", now(IDLE))
            return
        yield from self._says(state, slot, row, "ok", now)
        if self.case.may_fail:
            yield from self._says(state, slot, row, "fails", now)
        if state.extends:
            yield from self._extends(state, slot, row, now)

    def _says(self, state: State, slot: Slot, row: Row, how: str, now: Callable[..., State]) -> Iterator[Step]:
        """Who got no reply says it again, or something else."""
        after, wrong, key = self.decisions.said(row, how), "", (0, slot.execution)
        if (row.message, row.delivery) != (slot.message, slot.number):
            wrong = f"I3 {named(slot)} said how job0 ended though it was superseded"
        elif key in state.accepted:
            wrong = f"I2 a second end of {named(slot)}'s execution of job0 was accepted"
        elif row.state is not JobState.RUNNING:
            wrong = f"I2 job0 was {row.state} and was ended again"
        is_queued = after is not None and after.state is JobState.QUEUED
        changes = {
            "rows": with_item(state.rows, 0, after),
            "accepted": state.accepted | {key},
            "outbox": state.outbox | ({((0, after.generation),)} if after and is_queued else set()),
        }
        said = f"{named(slot)} says {how}: {after.state if after else 'gone'}"
        yield Step(said, now(IDLE, **changes), is_fault=how == "fails", wrong=wrong)
        if state.lost_replies:
            unsure = now(slot, lost_replies=state.lost_replies - 1, **changes)
            yield Step(f"{said}; reply lost", unsure, is_fault=True, wrong=wrong)

    def _extends(self, state: State, slot: Slot, row: Row, now: Callable[..., State]) -> Iterator[Step]:
        """Another ticket is named, and promised, in one transaction."""
        promised = {(row.generation, FRESH)} if self.case.rules.next_promised else set()
        changes = {
            "rows": with_item(state.rows, 0, row._replace(next=FRESH, etag=row.etag + 1)),
            "following": state.following | promised,
            "extends": state.extends - 1,
        }
        on = slot._replace(at="extended", following=FRESH)
        yield Step(f"{named(slot)} names another next ticket", now(on, **changes), is_fault=True)
        if state.lost_replies:
            lost = now(on._replace(at="hold"), lost_replies=state.lost_replies - 1, **changes)
            yield Step(f"{named(slot)} names another next ticket; reply lost", lost, is_fault=True)

    def _extended(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        sent = send(state, ((0, slot.entries[0][1]),), ticket=slot.following, is_delayed=True).messages
        yield Step(f"{named(slot)} sends another next ticket", now(slot._replace(at="letgo"), messages=sent))
        if state.lost_replies:
            lost = now(slot._replace(at="hold"), messages=sent, lost_replies=state.lost_replies - 1)
            yield Step(f"{named(slot)} sends another next ticket; reply lost", lost, is_fault=True)
        if state.crashes:
            cut = now(slot._replace(at="hold", following=0), crashes=state.crashes - 1, lost=counted(state, slot))
            yield Step(f"the service of {named(slot)} crashes", cut, is_fault=True)

    def _letgo(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        promised = (slot.entries[0][1], slot.following)
        done = now(slot._replace(at="hold"), following=state.following - {promised})
        yield Step(f"{named(slot)} deletes the promise", done)
