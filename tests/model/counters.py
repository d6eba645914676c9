"""A model of how counts are kept, exhaustive for two jobs of one writer process, a sweeper and a lossy network.

The rule of `jobq.core.shard`: a writer's counter row is written If-Match its own last etag, with the rows it counts;
after a mismatch or a lost reply the writer takes a new id and counts from zero, and it never reads a counter row. A
request whose reply was lost may be applied at any later time, as long as its preconditions hold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

ENDS = (1, -1, 1)
"""What each step of a job adds to the count of ended ones: it fails, is retried, and fails again."""


@dataclass(frozen=True)
class Faults:
    lost: int = 0
    """Replies."""
    folds: int = 0
    restarts: int = 0
    refusals: int = 0
    """Of a group, because somebody else was faster with one of its jobs."""


@dataclass(frozen=True)
class Rule:
    """What the code does; each part can be switched off."""

    is_fenced: bool = True
    """The counter row is written with a precondition."""
    renews_after_lost_reply: bool = True
    """A lost reply makes the writer start anew."""
    starts_from_zero: bool = True
    """A new id begins at zero, not at the old total."""


class Request(NamedTuple):
    """A transaction: the jobs it steps, with the step each must be at, and the writer's counter row."""

    steps: tuple[tuple[int, int], ...]
    writer: int
    etag: int
    """Of the counter row; 0 creates it."""
    total: int


class State(NamedTuple):
    jobs: tuple[int, ...]
    """Steps that each job has made."""
    rows: tuple[tuple[int, int, int], ...]
    """Counter rows: writer, etag, total."""
    folded: int
    writer: int
    etag: int
    total: int
    """What the writer remembers of its own row."""
    asks: tuple[str, ...]
    """Of each job's caller: `ready` to commit, or `unsure` of what it has committed."""
    underway: frozenset[Request]
    lost: int
    folds: int
    restarts: int
    refusals: int


Steps = Iterator[tuple[str, State]]


class Counters:
    def __init__(self, rule: Rule, faults: Faults, jobs: int = 2) -> None:
        self.rule = rule
        budget = (faults.lost, faults.folds, faults.restarts, faults.refusals)
        self.first = State((0,) * jobs, (), 0, 1, 0, 0, ("ready",) * jobs, frozenset(), *budget)

    def is_quiet(self, state: State) -> bool:
        """Every job has made all its steps. A request still under way can only be refused."""
        return all(step == len(ENDS) for step in state.jobs)

    def is_right(self, state: State) -> bool:
        counted = state.folded + sum(total for _, _, total in state.rows)
        return counted == sum(sum(ENDS[:step]) for step in state.jobs)

    def steps(self, state: State) -> Steps:
        yield from self._commits(state)
        for job, ask in enumerate(state.asks):
            if ask == "unsure":
                yield f"caller {job} reads its row", state._replace(asks=_put(state.asks, job, "ready"))
        for request in sorted(state.underway):
            rest = state._replace(underway=state.underway - {request})
            yield "a late request arrives", self._applied(rest, request) or rest
        if state.folds:
            for row in state.rows:
                rows = tuple(other for other in state.rows if other != row)
                folded = state._replace(rows=rows, folded=state.folded + row[2], folds=state.folds - 1)
                yield f"the row of writer {row[0]} is folded", folded
        if state.restarts:
            fresh = self._renewed(state, total=0)._replace(asks=("ready",) * len(state.jobs))
            yield "the process restarts", fresh._replace(restarts=state.restarts - 1)

    def _commits(self, state: State) -> Steps:
        ready = [job for job, ask in enumerate(state.asks) if ask == "ready" and state.jobs[job] < len(ENDS)]
        for group in _groups(ready):
            added = sum(ENDS[state.jobs[job]] for job in group)
            steps = tuple((job, state.jobs[job]) for job in group)
            request = Request(steps, state.writer, state.etag, state.total + added)
            if state.refusals and len(group) > 1:
                mover = group[0]
                moved = state._replace(refusals=state.refusals - 1, jobs=_put(state.jobs, mover, state.jobs[mover] + 1))
                other = (90 + state.refusals, 1, ENDS[state.jobs[mover]])
                yield f"group {group} is refused: job {mover} was moved", moved._replace(rows=(*state.rows, other))
            done = self._applied(state, request)
            if done is None:
                yield "counter row refused", self._renewed(state)
                continue
            yield f"commit {group}", done._replace(etag=_etag_of(done, state.writer), total=request.total)
            if state.lost:
                asks = tuple("unsure" if job in group else ask for job, ask in enumerate(state.asks))
                for what, after in (
                    ("applied", done),
                    ("never sent", state),
                    ("late", state._replace(underway=state.underway | {request})),
                ):
                    unsure = after._replace(asks=asks, lost=state.lost - 1)
                    if self.rule.renews_after_lost_reply:
                        unsure = self._renewed(unsure)
                    yield f"commit {group}, reply lost ({what})", unsure

    def _applied(self, state: State, request: Request) -> State | None:
        """After the request, or None where a precondition does not hold (of a job's row only when it is late)."""
        if any(state.jobs[job] != step for job, step in request.steps):
            return None
        found = next((row for row in state.rows if row[0] == request.writer), None)
        if self.rule.is_fenced and (found[1] if found else 0) != request.etag:
            return None
        rows = tuple(row for row in state.rows if row is not found)
        jobs = state.jobs
        for job, step in request.steps:
            jobs = _put(jobs, job, step + 1)
        etag = max((row[1] for row in state.rows), default=0) + 1
        return state._replace(jobs=jobs, rows=tuple(sorted((*rows, (request.writer, etag, request.total)))))

    def _renewed(self, state: State, total: int | None = None) -> State:
        kept = 0 if self.rule.starts_from_zero or total == 0 else state.total
        return state._replace(writer=state.writer + 1, etag=0, total=kept)


def explore(rule: Rule, faults: Faults) -> tuple[int, str]:
    """How many states there are, and the shortest way to counts that are wrong at rest ("" if there is none)."""
    model = Counters(rule, faults)
    came: dict[State, tuple[State, str] | None] = {model.first: None}
    waiting = deque([model.first])
    while waiting:
        state = waiting.popleft()
        if model.is_quiet(state) and not model.is_right(state):
            return len(came), _trace(came, state)
        for label, after in model.steps(state):
            if after not in came:
                came[after] = (state, label)
                waiting.append(after)
    return len(came), ""


def _trace(came: dict[State, tuple[State, str] | None], state: State) -> str:
    labels = []
    while (before := came[state]) is not None:
        state, label = before
        labels.append(label)
    return " | ".join(reversed(labels))


def _groups(ready: list[int]) -> list[list[int]]:
    return [[job] for job in ready] + ([ready] if len(ready) > 1 else [])


def _etag_of(state: State, writer: int) -> int:
    return next(etag for row, etag, _ in state.rows if row == writer)


def _put(items: tuple, index: int, item: object) -> tuple:  # type: ignore[type-arg]  # of one kind
    return (*items[:index], item, *items[index + 1 :])
