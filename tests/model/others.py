"""What others may do next: the pusher, an operator, the sweeper, and a broker that gives messages up."""

from __future__ import annotations

from collections.abc import Iterator

from jobq.model.job import JobState
from tests.model.decisions import Decisions
from tests.model.moves import EXECUTING, etag_of, etag_to_send, holds, named, operated, send, with_item
from tests.model.states import Case, Message, Promise, Row, State, Step


class Others:
    case: Case
    decisions: Decisions

    def _tickets(self, generation: int = 1) -> list[Promise]:
        entries = [(job, generation) for job in range(self.case.jobs)]
        return [tuple(entries)] if self.case.is_chunk else [(entry,) for entry in entries]

    def _pusher(self, state: State) -> Iterator[Step]:
        call, _ = state.pusher
        if call == "done":
            return
        if state.crashes and call != "again":
            yield Step(
                "push crashes",
                state._replace(pusher=("again", ()), promised=(), crashes=state.crashes - 1),
                is_fault=True,
            )
        yield from getattr(self, f"_push_{call}")(state)

    def _push_start(self, state: State) -> Iterator[Step]:
        rows = tuple(Row(JobState.QUEUED, 1, 1) for _ in state.rows)
        outbox = state.outbox | set(self._tickets()) if self.case.rules.outbox else state.outbox
        stored = state._replace(rows=rows, outbox=outbox)
        known = (1,) * len(rows)
        promised = tuple(self._tickets()) if self.case.rules.outbox else ()
        yield Step("push commits", stored._replace(pusher=("send", known), promised=promised))
        if state.lost_replies:
            lost = stored._replace(pusher=("resend", known), lost_replies=state.lost_replies - 1)
            yield Step("push commits; reply lost", lost, is_fault=True)

    def _push_send(self, state: State, then: str = "forget") -> Iterator[Step]:
        sent = state
        for promise in self._tickets():
            sent = send(sent, promise, state.pusher[1])
        yield Step("push sends", sent._replace(pusher=(then, ())))
        if state.lost_replies:
            lost = sent._replace(pusher=("again", ()), promised=(), lost_replies=state.lost_replies - 1)
            yield Step("push sends; reply lost", lost, is_fault=True)

    def _push_resend(self, state: State) -> Iterator[Step]:
        """It has read that its rows are there; the outbox row stays."""
        yield from self._push_send(state, then="done")

    def _push_forget(self, state: State) -> Iterator[Step]:
        left = state.outbox - set(state.promised)
        yield Step("push deletes its outbox rows", state._replace(pusher=("done", ()), promised=(), outbox=left))

    def _push_again(self, state: State) -> Iterator[Step]:
        """The user repeats it: what is there is reported, and what was promised is sent."""
        if not any(state.rows):
            yield Step("push again", state._replace(pusher=("start", (0,) * len(state.rows))))
            return
        sent = state
        for promise in sorted(state.outbox):
            sent = send(sent, promise)
        yield Step("push again: exists", sent._replace(pusher=("done", ()), outbox=frozenset()))

    def _operator(self, state: State) -> Iterator[Step]:
        which, call, knows = state.operator
        if which == len(self.case.operations):
            return
        name, row = self.case.operations[which], state.rows[0]
        end = (which + 1, "read", 0)
        if call == "read":
            if self.decisions.wanted(name, row) != row:
                yield Step(f"{name} reads {row.state if row else 'nothing'}", operated(state, "commit", etag_of(row)))
            return
        if state.crashes:
            yield Step(f"{name} crashes", state._replace(operator=end, crashes=state.crashes - 1), is_fault=True)
        if call == "commit" and etag_of(row) != knows:
            yield Step(f"{name} refused", operated(state, "read", 0))
        elif call == "commit":
            yield from self._commit(state, name, row, end)
        elif call == "send":
            sent = send(state, ((0, knows),), {0: etag_to_send(row, knows)})
            yield Step(f"{name} sends", operated(sent, "forget", knows))
            if state.lost_replies:
                lost = sent._replace(operator=end, lost_replies=state.lost_replies - 1)
                yield Step(f"{name} sends; reply lost", lost, is_fault=True)
        else:
            forgotten = state.outbox - {((0, knows),)}
            yield Step(f"{name} deletes its outbox row", state._replace(operator=end, outbox=forgotten))

    def _commit(self, state: State, name: str, row: Row | None, end: tuple[int, str, int]) -> Iterator[Step]:
        after = self.decisions.wanted(name, row)
        is_raised = after is not None and (row is None or after.generation != row.generation)
        changed = state._replace(rows=with_item(state.rows, 0, after))
        if name == "cancel":
            changed = changed._replace(cancelled=True)
        if after is not None and is_raised:
            zero = with_item(state.starts, 0, 0)
            changed = changed._replace(starts=zero, lost=with_item(state.lost, 0, 0), cancelled=False)
            if self.case.rules.outbox:
                changed = changed._replace(outbox=state.outbox | {((0, after.generation),)})
        follows = operated(changed, "send", after.generation) if after and is_raised else changed._replace(operator=end)
        yield Step(f"{name}: {after.state if after else 'gone'}", follows)
        if state.lost_replies:
            lost = changed._replace(operator=end, lost_replies=state.lost_replies - 1)
            yield Step(f"{name}: {after.state if after else 'gone'}; reply lost", lost, is_fault=True)

    def _sweeper(self, state: State) -> Iterator[Step]:
        call, promise = state.sweeper
        none: Promise = ()
        for generation, ticket in sorted(state.following):
            kept = ticket if self.case.rules.promises_keep_ids else 0
            sent = send(state, ((0, generation),), ticket=kept, is_delayed=True)
            rest = state.following - {(generation, ticket)}
            yield Step("sweeper sends a next ticket and deletes", sent._replace(following=rest))
        if call == "idle":
            for owed in sorted(state.outbox):
                if self.case.is_sweeper_slow:
                    yield Step("sweeper reads an outbox row", state._replace(sweeper=("send", owed)))
                else:
                    swept = send(state, owed)
                    yield Step("sweeper sends and deletes", swept._replace(outbox=state.outbox - {owed}))
                    if state.crashes:
                        yield Step("sweeper sends, crashes", swept._replace(crashes=state.crashes - 1), is_fault=True)
            return
        if state.crashes:
            crashed = state._replace(sweeper=("idle", none), crashes=state.crashes - 1)
            yield Step("sweeper crashes", crashed, is_fault=True)
        if call == "send":
            yield Step("sweeper sends", send(state, promise)._replace(sweeper=("delete", promise)))
        else:
            done = state._replace(sweeper=("idle", none), outbox=state.outbox - {promise})
            yield Step("sweeper deletes the outbox row", done)

    def _broker(self, state: State) -> Iterator[Step]:
        for index, message in enumerate(state.messages):
            if message.is_dead:
                yield from self._bury(state, message)
            elif state.dead_letters and not message.is_held:
                dead = with_item(state.messages, index, message._replace(is_dead=True))
                given_up = state._replace(messages=dead, dead_letters=state.dead_letters - 1)
                yield Step(f"the broker gives m{message.id} up", given_up, is_fault=True)

    def _bury(self, state: State, message: Message) -> Iterator[Step]:
        rows, wrong = state.rows, ""
        for job, generation, _ in message.entries:
            before = rows[job]
            after = self.decisions.buried(before, generation, message) if before else None
            if after != before:
                assert before is not None
                wrong = wrong or self._wrong_burial(state, job, before, generation)
                rows = with_item(rows, job, after)
        buried = state._replace(rows=rows)
        rest = tuple(other for other in state.messages if other is not message)
        yield Step(f"sweeper buries m{message.id}", buried._replace(messages=rest), wrong=wrong)
        if state.crashes and rows != state.rows:
            crashed = buried._replace(crashes=state.crashes - 1)
            yield Step(f"sweeper buries m{message.id}, crashes", crashed, is_fault=True, wrong=wrong)

    def _wrong_burial(self, state: State, job: int, before: Row, generation: int) -> str:
        if before.state is JobState.QUEUED and before.generation != generation:
            return f"I8 job{job} was given up by a ticket that was void"
        for slot in state.slots:
            is_running = before.state is JobState.RUNNING and slot.at in EXECUTING and job in dict(slot.todo)
            if is_running and holds(state, slot):
                return f"I7 job{job} was given up while the lease of {named(slot)} holds"
        return ""
