"""The code's decisions for rows of the model: they become jobs, tickets and deliveries, and the answers rows again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from jobq.core import acknowledge, decide, operate
from jobq.core.decide import Verdict
from jobq.core.ports import NO_DELAY, Delivery
from jobq.core.workers import CHECKOUT
from jobq.errors import IllegalTransition, LeaseLost
from jobq.model.job import Job, JobState, Limits, Outcome, Reason, Spec
from jobq.model.ticket import Entry, Ticket
from tests.model.states import Case, Message, Row, Slot
from tests.proof.world import START

T = TypeVar("T")

FRESH = 2
"""A ticket's id that no row has named before; those that one names are 1."""

BURIAL = 99
"""In place of a delivery's number, in the claim id of whoever ends a job by its dead letter."""


class Decisions:
    """Those of one case, each asked for once: there are few rows and many states."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self._known: dict[object, object] = {}

    def claim_id(self, slot: Slot) -> int:
        return slot.execution if self.case.rules.claim_ids else 1

    def judged(self, row: Row | None, generation: int, slot: Slot) -> Verdict:
        claim = self.claim_id(slot)

        def ask() -> Verdict:
            entry = Entry("j", generation)
            ticket = Ticket(_ticket(slot.ticket), (entry,) * len(slot.entries))
            return decide.judge(self._job(row) if row else None, entry, ticket, _delivery(slot), str(claim))

        return self._once(("judge", row, generation, slot.message, slot.number, len(slot.entries), slot.ticket), ask)

    def carried_out(self, row: Row, verdict: Verdict, slot: Slot) -> Row | None:
        claim = str(self.claim_id(slot))

        def ask() -> Row | None:
            job = self._job(row)
            names = _ticket(FRESH) if slot.is_out and self.case.rules.next_named else ""
            after = decide.claimed(
                job,
                verdict,
                claim_id=claim,
                delivery=_delivery(slot),
                worker=CHECKOUT if slot.is_out else "w",
                now=START,
                next_ticket=names,
            )
            return _row(after, row)

        return self._once(("claimed", row, verdict, slot.message, slot.number, slot.is_out), ask)

    def recorded(self, row: Row, how: str) -> Row | None:
        def ask() -> Row | None:
            job = self._job(row)
            if how == "back":
                return _row(decide.given_back(job, START), row)
            outcome = Outcome() if how == "ok" else Outcome(Reason.EXIT)
            return _row(decide.after_attempt(job, outcome, now=START, spread=0.5), row)

        return self._once(("recorded", row, how), ask)

    def is_callers(self, row: Row | None, slot: Slot) -> bool:
        """Whether what the caller says of the job is heard."""

        def ask() -> bool:
            try:
                acknowledge.held(self._job(row) if row else None, "j", str(self.claim_id(slot)))
            except LeaseLost:
                return False
            return True

        return self._once(("held", row, self.claim_id(slot)), ask)

    def said(self, row: Row, how: str) -> Row | None:
        """As `recorded`, by a caller: a job that is queued again has lost its message."""
        after = self.recorded(row, how)
        if after is None or after.state is not JobState.QUEUED:
            return after
        return self._once(("untied", after), lambda: _row(decide.untied(self._job(after)), after))

    def buried(self, row: Row, generation: int, message: Message) -> Row | None:
        def ask() -> Row | None:
            job, entry = self._job(row), Entry("j", generation)
            ticket = Ticket(_ticket(message.ticket), (entry,) * len(message.entries))
            delivery = Delivery(str(message.id), message.number + 1, b"", "", NO_DELAY)
            claim = str(100 * message.id + BURIAL)
            after = decide.given_up(job, entry, ticket, delivery, claim_id=claim, now=START)
            return row if after == job else _row(after, row)

        known = (message.id, message.number, len(message.entries), message.ticket)
        return self._once(("buried", row, generation, known), ask)

    def wanted(self, name: str, row: Row | None) -> Row | None:
        """The row after an operation; the same if it is refused."""
        if name == "push":
            fresh = 100 if self.case.rules.fresh_generations else 1
            return Row(JobState.QUEUED, fresh, 100) if row is None else row
        if row is None:
            return None

        def ask() -> Row | None:
            acts: dict[str, Callable[[Job], Job | None]] = {
                "cancel": lambda job: operate.cancelled(job, "", START),
                "remove": operate.removed,
                "retry": lambda job: operate.queue_again(job, START),
            }
            job = self._job(row)
            try:
                after = acts[name](job)
            except IllegalTransition:
                return row
            return row if after == job else _row(after, row)

        return self._once(("wanted", name, row), ask)

    def _job(self, row: Row) -> Job:
        tries = {Reason.EXIT: row.failures, Reason.LOST: row.losses}
        return Job(
            "j",
            "b",
            Spec(command="true", limits=Limits(retries=self.case.retries, crashes=self.case.crash_limit)),
            state=row.state,
            generation=row.generation,
            claim=str(row.claim) if row.claim else "",
            message_id=str(row.message) if row.message else "",
            delivery=row.delivery,
            attempt=row.attempt,
            tries={reason: count for reason, count in tries.items() if count},
            cancel_requested=row.cancel,
            remove_requested=row.remove,
            next_ticket=_ticket(row.next) if row.next else "",
            worker=CHECKOUT if row.is_out else "w",
        )

    def _once(self, key: object, ask: Callable[[], T]) -> T:
        """The code's answer, asked for once: there are few rows and many states."""
        if key not in self._known:
            self._known[key] = ask()
        return self._known[key]  # type: ignore[return-value]  # what `ask` gave


def _row(job: Job | None, before: Row) -> Row | None:
    if job is None:
        return None
    return Row(
        job.state,
        job.generation,
        before.etag + 1,
        int(job.claim or 0),
        int(job.message_id or 0),
        job.delivery,
        job.attempt,
        job.tries.get(Reason.EXIT, 0),
        job.tries.get(Reason.LOST, 0),
        job.cancel_requested,
        job.remove_requested,
        int(job.next_ticket.removeprefix("t") or 0),
        job.worker == CHECKOUT,
    )


def _ticket(number: int) -> str:
    return f"t{number}"


def _delivery(slot: Slot) -> Delivery:
    return Delivery(str(slot.message), slot.number, b"", "", NO_DELAY)
