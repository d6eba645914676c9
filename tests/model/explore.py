"""Every state of a model, breadth first, so that the traces it shows are the shortest."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tests.model.protocol import Model
from tests.model.states import Case, State


@dataclass(frozen=True)
class Explored:
    states: int
    wrong: dict[str, str]
    """By invariant (`I1` ... `I7`): what is wrong, and the shortest trace to it."""


def explore(case: Case, *, most: int = 400_000) -> Explored:
    """Raises MemoryError over `most` states: a case is explored completely or not at all."""
    model = Model(case)
    first = model.initial
    index: dict[State, int] = {first: 0}
    order = [first]
    came: list[tuple[int, str]] = [(-1, "")]
    healthy_back: list[list[int]] = [[]]
    wrong: dict[str, tuple[str, int]] = {}
    broken: set[int] = set()
    waiting = deque([0])
    while waiting:
        at = waiting.popleft()
        for label, state, is_fault, said in model.steps(order[at]):
            number = index.get(state)
            if number is None:
                number = index[state] = len(order)
                order.append(state)
                came.append((at, label))
                healthy_back.append([])
                if said:
                    broken.add(number)
                else:
                    waiting.append(number)
            if said:
                wrong.setdefault(said[:2], (said, number))
            if not is_fault:
                healthy_back[number].append(at)
        if len(order) > most:
            raise MemoryError(f"over {most} states")
    lost = _lost(model, order, healthy_back, broken)
    if lost is not None:
        wrong["I1"] = (f"I1 a job never ends: {order[lost].rows}, messages {order[lost].messages}", lost)
    return Explored(len(order), {key: f"{said}: {_trace(came, number)}" for key, (said, number) in wrong.items()})


def _lost(model: Model, order: list[State], healthy_back: list[list[int]], broken: set[int]) -> int | None:
    """The first state from which no steps without faults lead to the end of all jobs."""
    ends = {number for number, state in enumerate(order) if model.is_good(state)} | broken
    todo = list(ends)
    while todo:
        for number in healthy_back[todo.pop()]:
            if number not in ends:
                ends.add(number)
                todo.append(number)
    return next((number for number in range(len(order)) if number not in ends), None)


def _trace(came: list[tuple[int, str]], number: int) -> str:
    labels = []
    while number > 0:
        number, label = came[number]
        labels.append(label)
    return " | ".join(reversed(labels))
