"""An explicit-state model of the protocol: workers, pusher, operator and sweeper, with budgets of faults.

The verdicts are the code's: a row of the model becomes a job, and `judge`, `claimed`, `after_attempt` and `given_back`
of `jobq.core.decide`, `cancelled`, `removed` and `queue_again` of `jobq.core.operate`, say what becomes of it.
The queue behaves as a Storage queue does: a receipt is good until the message is received again.
No clocks: the end of a lease or of a delay is "some time later".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jobq.core.decide import Verdict
from jobq.model.job import JobState
from tests.model.decisions import Decisions
from tests.model.merging import merged
from tests.model.states import IDLE, Case, Message, Promise, Row, Slot, State, Step

T = TypeVar("T")

RUN = (Verdict.CLAIM, Verdict.TAKE_OVER)
WRITE = (*RUN, Verdict.END_LOST, Verdict.END_CANCELLED, Verdict.SPLIT)
EXECUTING = ("run", "record", "reread")


class Model:
    """The steps of one case. Start at `initial`, go on with `steps`."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.decisions = Decisions(case)

    @property
    def initial(self) -> State:
        case, n = self.case, self.case.jobs
        none: Promise = ()
        state = State(
            (None,) * n, frozenset(), (), (IDLE,) * case.workers, ("start", (0,) * n), (0, "read", 0), ("idle", none),
            case.crashes, case.losses, case.lost_replies, frozenset(), False, (0,) * n, (0,) * n,
        )  # fmt: skip
        if not case.is_pushed:
            return state
        rows = tuple(Row(JobState.QUEUED, 1, 1) for _ in range(n))
        state = state._replace(rows=rows, pusher=("done", ()))
        for promise in self._tickets():
            state = _send(state, promise, (1,) * n)
        for _ in range(case.duplicates):
            state = _send(state, self._tickets()[0])
        return state

    def is_good(self, state: State) -> bool:
        return all(row is None or row.state.is_final for row in state.rows)

    def steps(self, state: State) -> Iterator[Step]:
        for step in self._all_steps(state):
            is_over = step.state.operator[0] == len(self.case.operations)
            fresh = self.case.rules.fresh_generations
            yield step._replace(state=merged(step.state, is_over=is_over, are_generations_fresh=fresh))

    def _all_steps(self, state: State) -> Iterator[Step]:
        yield from self._leases(state)
        seen = set()
        for index, slot in enumerate(state.slots):
            if slot not in seen:  # workers are alike
                seen.add(slot)
                yield from self._worker(state, index, slot)
        yield from self._pusher(state)
        yield from self._operator(state)
        yield from self._sweeper(state)

    # ---- leases

    def _leases(self, state: State) -> Iterator[Step]:
        for index, message in enumerate(state.messages):
            if not message.is_held:
                continue
            seen = state._replace(messages=_put(state.messages, index, message._replace(is_held=False)))
            holder = next((slot for slot in state.slots if _holds(state, slot) and slot.message == message.id), None)
            if holder is None:
                yield Step(f"m{message.id} reappears", seen)
            elif state.losses:
                hit = seen._replace(losses=state.losses - 1, lost=_counted(state, holder))
                yield Step(f"{_name(holder)} loses its lease", hit, is_fault=True)

    # ---- workers

    def _worker(self, state: State, index: int, slot: Slot) -> Iterator[Step]:
        def now(slot: Slot, **changes: object) -> State:
            return state._replace(slots=_put(state.slots, index, slot), **changes)  # type: ignore[arg-type]  # fields

        if slot.at == "idle":
            yield from self._receive(state, index)
            return
        if state.crashes:
            crashed = now(IDLE, crashes=state.crashes - 1, lost=_counted(state, slot))
            yield Step(f"{_name(slot)} crashes", crashed, is_fault=True)
        yield from getattr(self, f"_{slot.at}")(state, slot, now)

    def _receive(self, state: State, index: int) -> Iterator[Step]:
        for position, message in enumerate(state.messages):
            if message.is_held:
                continue
            held = message._replace(is_held=True, number=message.number + 1)
            slot = Slot("claim", message.id, held.number, message.entries)
            messages = _put(state.messages, position, held)
            taken = state._replace(messages=messages, slots=_put(state.slots, index, slot))
            yield Step(f"receives m{message.id} (delivery {held.number})", taken)

    def _claim(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """The fast path, with the etags in the ticket."""
        is_again = slot.is_chunk and slot.number > 1
        if is_again or not all(etag for _, _, etag in slot.entries):
            yield Step(f"{_name(slot)} must read", now(slot._replace(at="read")))
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
            yield Step(f"{_name(slot)} reads: {said}", now(IDLE))
        else:
            yield Step(f"{_name(slot)} reads: {said}", now(slot._replace(at="write", plan=tuple(plan))))

    def _write(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        writes = [(job, Verdict(verdict), etag) for job, verdict, etag in slot.plan if Verdict(verdict) in WRITE]
        if not all(_etag(state.rows[job]) == etag for job, _, etag in writes):
            yield Step(f"{_name(slot)} claim refused", now(slot._replace(at="read", plan=())))
            return
        rows, splits, wrong = state.rows, [], ""
        todo = {job: etag for job, verdict, etag in slot.plan if verdict == Verdict.MINE.value}
        for job, verdict, _ in writes:
            before = rows[job]
            assert before is not None
            after = self.decisions.carried_out(before, verdict, slot)
            rows = _put(rows, job, after)
            wrong = wrong or self._wrong_claim(state, slot, job, before, after)
            if after is not None and verdict is Verdict.SPLIT:
                splits.append(((job, after.generation),))
            elif after is not None and verdict in RUN:
                todo[job] = after.etag
        outbox = state.outbox | set(splits) if self.case.rules.outbox else state.outbox
        order = tuple((job, todo[job]) for job, _, _ in slot.entries if job in todo)
        done = slot._replace(plan=(), todo=order, owes=tuple(splits), forgets=tuple(splits))
        said = ", ".join(f"job{job} {verdict.value}" for job, verdict, _ in writes) or "nothing to write"
        yield Step(f"{_name(slot)}: {said}", now(_next(done), rows=rows, outbox=outbox), wrong=wrong)
        if writes and state.lost_replies:
            unsure = slot._replace(at="read", plan=())
            lost = now(unsure, rows=rows, outbox=outbox, lost_replies=state.lost_replies - 1)
            yield Step(f"{_name(slot)}: {said}; reply lost", lost, is_fault=True, wrong=wrong)

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
            if is_other and is_running and job in dict(other.todo) and _holds(state, other):
                return f"I7 job{job} was claimed while the lease of {_name(other)} holds"
        return ""

    def _run(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        job, _ = slot.todo[0]
        row = state.rows[job]
        is_current = row is not None and row.claim == self.decisions.claim_id(slot)
        starts = _put(state.starts, job, state.starts[job] + is_current)
        most = 1 + self.case.retries + self.case.crash_limit + self.case.is_chunk
        wrong = f"I6 job{job} was started {starts[job]} times" if starts[job] > most else ""
        if not _holds(state, slot):
            yield Step(f"{_name(slot)} notices that its lease is lost", now(IDLE))
        if job == self.case.killer:
            dead = now(IDLE, starts=starts, lost=_counted(state, slot))
            yield Step(f"job{job} kills {_name(slot)}", dead, wrong=wrong)
            return
        yield Step(f"job{job} is ok", now(slot._replace(at="record", how="ok"), starts=starts), wrong=wrong)
        if self.case.may_fail:
            failed = now(slot._replace(at="record", how="fails"), starts=starts)
            yield Step(f"job{job} fails", failed, is_fault=True, wrong=wrong)
        if self.case.gives_back and slot.is_chunk:
            last_first = (slot.todo[-1], *slot.todo[:-1])
            given = slot._replace(at="record", how="back", todo=last_first)
            yield Step(f"{_name(slot)} gives job{last_first[0][0]} back", now(given))

    def _record(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        (job, etag), row = slot.todo[0], state.rows[slot.todo[0][0]]
        if row is None or row.etag != etag:
            yield Step(f"{_name(slot)}: record refused", now(slot._replace(at="reread")))
            return
        after = self.decisions.recorded(row, slot.how)
        key, wrong = (job, slot.execution), ""
        if (row.message, row.delivery) != (slot.message, slot.number) and not row.state.is_final:
            wrong = f"I3 {_name(slot)} recorded job{job} though it was superseded"
        elif key in state.accepted:
            wrong = f"I2 a second end of {_name(slot)}'s execution of job{job} was accepted"
        elif row.state is not JobState.RUNNING:
            wrong = f"I2 job{job} was {row.state} and was ended again"
        promise: tuple[Promise, ...] = ()
        if after is not None and after.state is JobState.QUEUED:
            promise = (((job, after.generation),),)
        kept = promise if self.case.rules.outbox else ()
        changes = {
            "rows": _put(state.rows, job, after),
            "outbox": state.outbox | set(kept),
            "accepted": state.accepted | {key},
        }
        done = _next(slot._replace(todo=slot.todo[1:], how="", owes=promise, forgets=promise))
        said = f"{_name(slot)} records job{job}: {after.state if after else 'gone'}"
        yield Step(said, now(done, **changes), wrong=wrong)
        if state.lost_replies:
            unsure = now(slot._replace(at="reread"), lost_replies=state.lost_replies - 1, **changes)
            yield Step(f"{said}; reply lost", unsure, is_fault=True, wrong=wrong)

    def _reread(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        (job, _), row = slot.todo[0], state.rows[slot.todo[0][0]]
        rest = slot._replace(todo=slot.todo[1:], how="")
        if row is None or row.claim != self.decisions.claim_id(slot):
            yield Step(f"{_name(slot)} is fenced off from job{job}", now(_next(rest)))
        elif row.state is JobState.RUNNING:
            again = slot._replace(at="record", todo=((job, row.etag), *slot.todo[1:]))
            yield Step(f"{_name(slot)} decides again", now(again))
        else:
            owes: tuple[Promise, ...] = (((job, row.generation),),) if row.state is JobState.QUEUED else ()
            yield Step(f"{_name(slot)} had recorded job{job}", now(_next(rest._replace(owes=owes))))

    def _return(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        """The promised ticket: the own message edited where it is the job's alone, else a new one."""
        promise, *owes = slot.owes
        job, generation = promise[0]
        row = state.rows[job]
        etags = {job: _etag_to_send(row, generation)}
        done = slot._replace(owes=tuple(owes))
        unsure = state.lost_replies - 1
        if slot.is_chunk:
            changes = {"messages": _send(state, promise, etags).messages}
            said = f"{_name(slot)} sends a ticket for job{job}"
        elif _may_settle(state, slot):
            index = _index(state, slot.message)
            edited = state.messages[index]._replace(is_held=False, entries=((job, generation, etags[job]),))
            changes, done = {"messages": _put(state.messages, index, edited)}, done._replace(message=0)
            said = f"{_name(slot)} releases its message"
        else:
            yield Step(f"{_name(slot)} cannot release", now(_next(slot._replace(owes=(), forgets=(), message=0))))
            return
        yield Step(said, now(_next(done), **changes))
        if state.lost_replies:
            kept = done._replace(owes=(), forgets=())
            yield Step(f"{said}; reply lost", now(_next(kept), lost_replies=unsure, **changes), is_fault=True)

    def _forget(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        done = now(_next(slot._replace(forgets=())), outbox=state.outbox - set(slot.forgets))
        yield Step(f"{_name(slot)} deletes its outbox row", done)

    def _settle(self, state: State, slot: Slot, now: Callable[..., State]) -> Iterator[Step]:
        messages = state.messages
        if _may_settle(state, slot):
            messages = tuple(message for message in messages if message.id != slot.message)
        yield Step(f"{_name(slot)} completes its message", now(IDLE, messages=messages))

    # ---- pusher

    def _tickets(self, generation: int = 1) -> list[Promise]:
        entries = [(job, generation) for job in range(self.case.jobs)]
        return [tuple(entries)] if self.case.is_chunk else [(entry,) for entry in entries]

    def _pusher(self, state: State) -> Iterator[Step]:
        call, _ = state.pusher
        if call == "done":
            return
        if state.crashes and call != "again":
            yield Step("push crashes", state._replace(pusher=("again", ()), crashes=state.crashes - 1), is_fault=True)
        yield from getattr(self, f"_push_{call}")(state)

    def _push_start(self, state: State) -> Iterator[Step]:
        rows = tuple(Row(JobState.QUEUED, 1, 1) for _ in state.rows)
        outbox = state.outbox | set(self._tickets()) if self.case.rules.outbox else state.outbox
        stored = state._replace(rows=rows, outbox=outbox)
        known = (1,) * len(rows)
        yield Step("push commits", stored._replace(pusher=("send", known)))
        if state.lost_replies:
            lost = stored._replace(pusher=("resend", known), lost_replies=state.lost_replies - 1)
            yield Step("push commits; reply lost", lost, is_fault=True)

    def _push_send(self, state: State, then: str = "forget") -> Iterator[Step]:
        sent = state
        for promise in self._tickets():
            sent = _send(sent, promise, state.pusher[1])
        yield Step("push sends", sent._replace(pusher=(then, ())))
        if state.lost_replies:
            lost = sent._replace(pusher=("again", ()), lost_replies=state.lost_replies - 1)
            yield Step("push sends; reply lost", lost, is_fault=True)

    def _push_resend(self, state: State) -> Iterator[Step]:
        """It has read that its rows are there; the outbox row stays."""
        yield from self._push_send(state, then="done")

    def _push_forget(self, state: State) -> Iterator[Step]:
        yield Step("push deletes its outbox rows", state._replace(pusher=("done", ()), outbox=frozenset()))

    def _push_again(self, state: State) -> Iterator[Step]:
        """The user repeats it: what is there is reported, and what was promised is sent."""
        if not any(state.rows):
            yield Step("push again", state._replace(pusher=("start", (0,) * len(state.rows))))
            return
        sent = state
        for promise in sorted(state.outbox):
            sent = _send(sent, promise)
        yield Step("push again: exists", sent._replace(pusher=("done", ()), outbox=frozenset()))

    # ---- operator, on job 0

    def _operator(self, state: State) -> Iterator[Step]:
        which, call, knows = state.operator
        if which == len(self.case.operations):
            return
        name, row = self.case.operations[which], state.rows[0]
        end = (which + 1, "read", 0)
        if call == "read":
            if self.decisions.wanted(name, row) != row:
                yield Step(f"{name} reads {row.state if row else 'nothing'}", _operates(state, "commit", _etag(row)))
            return
        if state.crashes:
            yield Step(f"{name} crashes", state._replace(operator=end, crashes=state.crashes - 1), is_fault=True)
        if call == "commit" and _etag(row) != knows:
            yield Step(f"{name} refused", _operates(state, "read", 0))
        elif call == "commit":
            yield from self._commit(state, name, row, end)
        elif call == "send":
            sent = _send(state, ((0, knows),), {0: _etag_to_send(row, knows)})
            yield Step(f"{name} sends", _operates(sent, "forget", knows))
            if state.lost_replies:
                lost = sent._replace(operator=end, lost_replies=state.lost_replies - 1)
                yield Step(f"{name} sends; reply lost", lost, is_fault=True)
        else:
            forgotten = state.outbox - {((0, knows),)}
            yield Step(f"{name} deletes its outbox row", state._replace(operator=end, outbox=forgotten))

    def _commit(self, state: State, name: str, row: Row | None, end: tuple[int, str, int]) -> Iterator[Step]:
        after = self.decisions.wanted(name, row)
        is_raised = after is not None and (row is None or after.generation != row.generation)
        changed = state._replace(rows=_put(state.rows, 0, after))
        if name == "cancel":
            changed = changed._replace(cancelled=True)
        if after is not None and is_raised:
            zero = _put(state.starts, 0, 0)
            changed = changed._replace(starts=zero, lost=_put(state.lost, 0, 0), cancelled=False)
            if self.case.rules.outbox:
                changed = changed._replace(outbox=state.outbox | {((0, after.generation),)})
        follows = (
            _operates(changed, "send", after.generation) if after and is_raised else changed._replace(operator=end)
        )
        yield Step(f"{name}: {after.state if after else 'gone'}", follows)
        if state.lost_replies:
            lost = changed._replace(operator=end, lost_replies=state.lost_replies - 1)
            yield Step(f"{name}: {after.state if after else 'gone'}; reply lost", lost, is_fault=True)

    # ---- sweeper

    def _sweeper(self, state: State) -> Iterator[Step]:
        call, promise = state.sweeper
        none: Promise = ()
        if call == "idle":
            for owed in sorted(state.outbox):
                if self.case.is_sweeper_slow:
                    yield Step("sweeper reads an outbox row", state._replace(sweeper=("send", owed)))
                else:
                    swept = _send(state, owed)
                    yield Step("sweeper sends and deletes", swept._replace(outbox=state.outbox - {owed}))
                    if state.crashes:
                        yield Step("sweeper sends, crashes", swept._replace(crashes=state.crashes - 1), is_fault=True)
            return
        if state.crashes:
            crashed = state._replace(sweeper=("idle", none), crashes=state.crashes - 1)
            yield Step("sweeper crashes", crashed, is_fault=True)
        if call == "send":
            yield Step("sweeper sends", _send(state, promise)._replace(sweeper=("delete", promise)))
        else:
            done = state._replace(sweeper=("idle", none), outbox=state.outbox - {promise})
            yield Step("sweeper deletes the outbox row", done)


def _etag(row: Row | None) -> int:
    return row.etag if row else 0


def _operates(state: State, call: str, knows: int) -> State:
    return state._replace(operator=(state.operator[0], call, knows))


def _next(slot: Slot) -> Slot:
    """What a worker does after a call that went well: send what it owes, forget that, run on, settle."""
    if slot.owes:
        return slot._replace(at="return")
    if slot.forgets:
        return slot._replace(at="forget")
    if slot.todo:
        return slot._replace(at="run")
    return slot._replace(at="settle") if slot.message else IDLE


def _etag_to_send(row: Row | None, generation: int) -> int:
    """Of a queued job that was never tried; others are sent as references."""
    is_as_promised = row is not None and row.state is JobState.QUEUED and row.generation == generation
    return row.etag if row is not None and is_as_promised and not row.attempt else 0


def _send(state: State, promise: Promise, etags: Sequence[int] | dict[int, int] | None = None) -> State:
    known = [message.id for message in state.messages] + [slot.message for slot in state.slots]
    known += [max(row.message, row.claim // 100) for row in state.rows if row]
    message = Message(
        1 + max(known), tuple((job, generation, etags[job] if etags else 0) for job, generation in promise)
    )
    return state._replace(messages=(*state.messages, message))


def _index(state: State, message_id: int) -> int:
    return next((index for index, message in enumerate(state.messages) if message.id == message_id), -1)


def _may_settle(state: State, slot: Slot) -> bool:
    """Whether its receipt is good: nobody has received the message since."""
    index = _index(state, slot.message)
    return index >= 0 and state.messages[index].number == slot.number


def _holds(state: State, slot: Slot) -> bool:
    index = _index(state, slot.message) if slot.at != "idle" else -1
    return index >= 0 and state.messages[index].number == slot.number and state.messages[index].is_held


def _counted(state: State, slot: Slot) -> tuple[int, ...]:
    """Losses of each job with one more for what the slot runs, or was about to run."""
    hit = {slot.todo[0][0]} if slot.at in EXECUTING else {job for job, _, _ in slot.entries}
    return tuple(count + (job in hit) for job, count in enumerate(state.lost))


def _name(slot: Slot) -> str:
    return f"the holder of m{slot.message}#{slot.number}"


def _put(items: Sequence[T], index: int, item: T) -> tuple[T, ...]:
    return (*items[:index], item, *items[index + 1 :])
