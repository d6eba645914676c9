"""What a worker may do next: receive, claim, run, record, return or settle its ticket, and crash or lose its lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from jobq.core.decide import Verdict
from jobq.model.job import JobState
from tests.model.decisions import Decisions
from tests.model.moves import (
    EXECUTING,
    after_call,
    counted,
    etag_of,
    etag_to_send,
    holds,
    index_of,
    is_lease,
    may_settle,
    named,
    send,
    with_item,
)
from tests.model.states import IDLE, Case, Promise, Row, Slot, State, Step

RUN = (Verdict.CLAIM, Verdict.TAKE_OVER)
WRITE = (*RUN, Verdict.END_LOST, Verdict.END_CANCELLED, Verdict.SPLIT)


class Workers:
    case: Case
    decisions: Decisions

    def _leases(self, state: State) -> Iterator[Step]:
        for index, message in enumerate(state.messages):
            if not message.is_held:
                continue
            seen = state._replace(messages=with_item(state.messages, index, message._replace(is_held=False)))
            holder = next((slot for slot in state.slots if is_lease(message, slot) and holds(state, slot)), None)
            if holder is None:
                yield Step(f"m{message.id} reappears", seen)
            elif state.losses:
                hit = seen._replace(losses=state.losses - 1, lost=counted(state, holder))
                yield Step(f"{named(holder)} loses its lease", hit, is_fault=True)

    def _worker(self, state: State, index: int, slot: Slot) -> Iterator[Step]:
        def now(slot: Slot, **changes: object) -> State:
            return state._replace(slots=with_item(state.slots, index, slot), **changes)  # type: ignore[arg-type]  # fields

        if slot.at == "idle":
            yield from self._receive(state, index)
            return
        if state.crashes:
            crashed = now(IDLE, crashes=state.crashes - 1, lost=counted(state, slot))
            yield Step(f"{named(slot)} crashes", crashed, is_fault=True)
        yield from getattr(self, f"_{slot.at}")(state, slot, now)

    def _receive(self, state: State, index: int) -> Iterator[Step]:
        for position, message in enumerate(state.messages):
            if message.is_held or message.is_dead:
                continue
            held = message._replace(is_held=True, number=message.number + 1)
            slot = Slot("claim", message.id, held.number, message.entries, ticket=message.ticket)
            messages = with_item(state.messages, position, held)
            kinds = [is_out for is_out in (False, True) if (self.case.callers if is_out else self.case.has_workers)]
            for one in (slot._replace(is_out=is_out) for is_out in kinds):
                taken = state._replace(messages=messages, slots=with_item(state.slots, index, one))
                who = "a caller" if one.is_out else "a worker"
                yield Step(f"{who} receives m{message.id} (delivery {held.number})", taken)

    def _claim(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """The fast path, with the etags in the ticket."""
        is_again = slot.is_chunk and slot.number > 1
        if is_again or not all(etag for _, _, etag in slot.entries):
            yield Step(f"{named(slot)} must read", now(slot._replace(at="read")))
            return
        plan = tuple((job, Verdict.CLAIM.value, etag) for job, _, etag in slot.entries)
        yield from self._write(state, slot._replace(plan=plan), now)

    def _read(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        plan = []
        for job, generation, _ in slot.entries:
            row = state.rows[job]
            verdict = self.decisions.judged(row, generation, slot)
            plan.append((job, verdict.value, row.etag if row else 0))
        said = "/".join(verdict for _, verdict, _ in plan)
        if any(verdict == Verdict.STALE.value for _, verdict, _ in plan):
            yield Step(f"{named(slot)} reads: {said}", now(IDLE))
        else:
            yield Step(f"{named(slot)} reads: {said}", now(slot._replace(at="write", plan=tuple(plan))))

    def _write(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        writes = [(job, Verdict(verdict), etag) for job, verdict, etag in slot.plan if Verdict(verdict) in WRITE]
        if not all(etag_of(state.rows[job]) == etag for job, _, etag in writes):
            yield Step(f"{named(slot)} claim refused", now(slot._replace(at="read", plan=())))
            return
        rows, splits, wrong = state.rows, [], ""
        todo = {job: etag for job, verdict, etag in slot.plan if verdict == Verdict.MINE.value}
        for job, verdict, _ in writes:
            before = rows[job]
            assert before is not None
            after = self.decisions.carried_out(before, verdict, slot)
            rows = with_item(rows, job, after)
            wrong = wrong or self._wrong_claim(state, slot, job, before, after)
            if after is not None and verdict is Verdict.SPLIT:
                splits.append(((job, after.generation),))
            elif after is not None and verdict in RUN:
                todo[job] = after.etag
        outbox = state.outbox | set(splits) if self.case.rules.outbox else state.outbox
        order = tuple((job, todo[job]) for job, _, _ in slot.entries if job in todo)
        done = after_call(slot._replace(plan=(), todo=order, owes=tuple(splits), forgets=tuple(splits)))
        if slot.is_out and order:
            first, row = "next" if self.case.rules.next_first else "complete", rows[0]
            known = ((0, slot.entries[0][1], 0),)
            following = row.next if row and writes else slot.following
            done = done._replace(at=first, entries=known, todo=((0, 0),), ticket=0, following=following)
        said = ", ".join(f"job{job} {verdict.value}" for job, verdict, _ in writes) or "nothing to write"
        yield Step(f"{named(slot)}: {said}", now(done, rows=rows, outbox=outbox), wrong=wrong)
        if writes and state.lost_replies:
            names = rows[0].next if rows[0] and slot.is_out else 0
            unsure = slot._replace(at="read", plan=(), following=names)
            lost = now(unsure, rows=rows, outbox=outbox, lost_replies=state.lost_replies - 1)
            yield Step(f"{named(slot)}: {said}; reply lost", lost, is_fault=True, wrong=wrong)

    def _wrong_claim(self, state: State, slot: Slot, job: int, before: Row, after: Row | None) -> str:
        if before.state.is_final:
            return f"I2 job{job} was {before.state} and was claimed"
        if after is None:
            return ""
        if after.losses > state.lost[job]:
            return f"I6 {after.losses} losses of job{job} counted, {state.lost[job]} happened"
        if after.state is not JobState.RUNNING:
            return ""
        if job == 0 and state.cancelled:
            return "I5 job0 was claimed after its cancel was acknowledged"
        for other in state.slots:
            is_other = (other.message, other.number) != (slot.message, slot.number)
            is_running = other.at in EXECUTING and (job, other.execution) not in state.accepted
            if is_other and is_running and job in dict(other.todo) and holds(state, other):
                return f"I7 job{job} was claimed while the lease of {named(other)} holds"
        return ""

    def _run(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        job, _ = slot.todo[0]
        row = state.rows[job]
        is_current = row is not None and row.claim == self.decisions.claim_id(slot)
        starts = with_item(state.starts, job, state.starts[job] + is_current)
        most = 1 + self.case.retries + self.case.crash_limit + self.case.is_chunk
        wrong = f"I6 job{job} was started {starts[job]} times" if starts[job] > most else ""
        if not holds(state, slot):
            yield Step(f"{named(slot)} notices that its lease is lost", now(IDLE))
        if job == self.case.killer:
            dead = now(IDLE, starts=starts, lost=counted(state, slot))
            yield Step(f"job{job} kills {named(slot)}", dead, wrong=wrong)
            return
        yield Step(f"job{job} is ok", now(slot._replace(at="record", how="ok"), starts=starts), wrong=wrong)
        if self.case.may_fail:
            failed = now(slot._replace(at="record", how="fails"), starts=starts)
            yield Step(f"job{job} fails", failed, is_fault=True, wrong=wrong)
        if self.case.gives_back and slot.is_chunk:
            last_first = (slot.todo[-1], *slot.todo[:-1])
            given = slot._replace(at="record", how="back", todo=last_first)
            yield Step(f"{named(slot)} gives job{last_first[0][0]} back", now(given))

    def _record(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        (job, etag), row = slot.todo[0], state.rows[slot.todo[0][0]]
        if row is None or row.etag != etag:
            yield Step(f"{named(slot)}: record refused", now(slot._replace(at="reread")))
            return
        after = self.decisions.recorded(row, slot.how)
        key, wrong = (job, slot.execution), ""
        if (row.message, row.delivery) != (slot.message, slot.number) and not row.state.is_final:
            wrong = f"I3 {named(slot)} recorded job{job} though it was superseded"
        elif key in state.accepted:
            wrong = f"I2 a second end of {named(slot)}'s execution of job{job} was accepted"
        elif row.state is not JobState.RUNNING:
            wrong = f"I2 job{job} was {row.state} and was ended again"
        promise: tuple[Promise, ...] = ()
        if after is not None and after.state is JobState.QUEUED:
            promise = (((job, after.generation),),)
        kept = promise if self.case.rules.outbox else ()
        changes = {
            "rows": with_item(state.rows, job, after),
            "outbox": state.outbox | set(kept),
            "accepted": state.accepted | {key},
        }
        done = after_call(slot._replace(todo=slot.todo[1:], how="", owes=promise, forgets=promise))
        said = f"{named(slot)} records job{job}: {after.state if after else 'gone'}"
        yield Step(said, now(done, **changes), wrong=wrong)
        if state.lost_replies:
            unsure = now(slot._replace(at="reread"), lost_replies=state.lost_replies - 1, **changes)
            yield Step(f"{said}; reply lost", unsure, is_fault=True, wrong=wrong)

    def _reread(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        (job, _), row = slot.todo[0], state.rows[slot.todo[0][0]]
        rest = slot._replace(todo=slot.todo[1:], how="")
        if row is None or row.claim != self.decisions.claim_id(slot):
            yield Step(f"{named(slot)} is fenced off from job{job}", now(after_call(rest)))
        elif row.state is JobState.RUNNING:
            again = slot._replace(at="record", todo=((job, row.etag), *slot.todo[1:]))
            yield Step(f"{named(slot)} decides again", now(again))
        else:
            owes: tuple[Promise, ...] = (((job, row.generation),),) if row.state is JobState.QUEUED else ()
            yield Step(f"{named(slot)} had recorded job{job}", now(after_call(rest._replace(owes=owes))))

    def _return(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """The promised ticket: the own message edited where it is the job's alone, else a new one."""
        promise, *owes = slot.owes
        job, generation = promise[0]
        row = state.rows[job]
        etags = {job: etag_to_send(row, generation)}
        done = slot._replace(owes=tuple(owes))
        unsure = state.lost_replies - 1
        if slot.is_chunk or not self.case.edits:
            changes = {"messages": send(state, promise, etags).messages}
            said = f"{named(slot)} sends a ticket for job{job}"
            done = done if slot.is_chunk else done._replace(at="replace")
        elif may_settle(state, slot):
            index = index_of(state, slot.message)
            edited = state.messages[index]._replace(is_held=False, entries=((job, generation, etags[job]),))
            changes, done = {"messages": with_item(state.messages, index, edited)}, done._replace(message=0)
            said = f"{named(slot)} releases its message"
        else:
            yield Step(f"{named(slot)} cannot release", now(after_call(slot._replace(owes=(), forgets=(), message=0))))
            return
        yield Step(said, now(done if done.at == "replace" else after_call(done), **changes))
        if state.lost_replies:
            kept = done._replace(owes=(), forgets=(), message=done.message if slot.is_chunk else 0)
            yield Step(f"{said}; reply lost", now(after_call(kept), lost_replies=unsure, **changes), is_fault=True)

    def _replace(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """Another message is there in place of its own, which goes now."""
        if not may_settle(state, slot):
            yield Step(f"{named(slot)} cannot complete", now(after_call(slot._replace(owes=(), forgets=(), message=0))))
            return
        rest = tuple(message for message in state.messages if message.id != slot.message)
        done = slot._replace(message=0)
        yield Step(f"{named(slot)} completes what it replaced", now(after_call(done), messages=rest))
        if state.lost_replies:
            kept = after_call(done._replace(owes=(), forgets=()))
            lost = now(kept, messages=rest, lost_replies=state.lost_replies - 1)
            yield Step(f"{named(slot)} completes what it replaced; reply lost", lost, is_fault=True)

    def _forget(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        done = now(after_call(slot._replace(forgets=())), outbox=state.outbox - set(slot.forgets))
        yield Step(f"{named(slot)} deletes its outbox row", done)

    def _settle(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        messages = state.messages
        if may_settle(state, slot):
            messages = tuple(message for message in messages if message.id != slot.message)
        yield Step(f"{named(slot)} completes its message", now(IDLE, messages=messages))
