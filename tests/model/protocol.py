"""An explicit-state model of the protocol: workers, callers, pusher, operator and sweeper, with budgets of faults.

The verdicts are the code's: a row of the model becomes a job, and `judge`, `claimed`, `after_attempt`, `given_back`,
`untied` and `given_up` of `jobq.core.decide`, `cancelled`, `removed` and `queue_again` of `jobq.core.operate`, `held`
of `jobq.core.acknowledge`, say what becomes of it. A receipt is good until the message is received again. The queue
behaves as a Storage queue does, or as one of Service Bus: there a message cannot be edited, and the broker may give one
up.
No clocks: the end of a lease or of a delay is "some time later".
"""

from __future__ import annotations

from collections.abc import Iterator

from jobq.model.job import JobState
from tests.model.callers import Callers
from tests.model.decisions import Decisions
from tests.model.merging import merged, without_the_void
from tests.model.moves import send
from tests.model.others import Others
from tests.model.states import IDLE, Case, Promise, Row, State, Step
from tests.model.workers import Workers


class Model(Workers, Callers, Others):
    """The steps of one case. Start at `initial`, go on with `steps`."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.decisions = Decisions(case)

    @property
    def initial(self) -> State:
        case, n = self.case, self.case.jobs
        none: Promise = ()
        budgets = (case.crashes, case.losses, case.lost_replies, case.dead_letters, case.extends)
        actors = (("start", (0,) * n), (), (0, "read", 0), ("idle", none))
        slots, zeros = (IDLE,) * case.workers, (0,) * n
        none_yet: frozenset[tuple[int, int]] = frozenset()
        state = State((None,) * n, frozenset(), (), slots, *actors, *budgets, none_yet, none_yet, False, zeros, zeros)
        if not case.is_pushed:
            return state
        rows = tuple(Row(JobState.QUEUED, 1, 1) for _ in range(n))
        state = state._replace(rows=rows, pusher=("done", ()))
        for promise in self._tickets():
            state = send(state, promise, (1,) * n)
        for _ in range(case.duplicates):
            state = send(state, self._tickets()[0])
        return state

    def is_good(self, state: State) -> bool:
        return all(row is None or row.state.is_final for row in state.rows)

    def steps(self, state: State) -> Iterator[Step]:
        for step in self._all_steps(state):
            is_over = step.state.operator[0] == len(self.case.operations)
            fresh = self.case.rules.fresh_generations
            state = merged(step.state, is_over=is_over, are_generations_fresh=fresh)
            yield step._replace(state=without_the_void(state) if self.case.callers else state)

    def _all_steps(self, state: State) -> Iterator[Step]:
        yield from self._leases(state)
        yield from self._broker(state)
        seen = set()
        for index, slot in enumerate(state.slots):
            if slot not in seen:  # workers are alike
                seen.add(slot)
                yield from self._worker(state, index, slot)
        yield from self._pusher(state)
        yield from self._operator(state)
        yield from self._sweeper(state)
