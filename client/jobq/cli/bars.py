"""How far jobs are, as a bar of cells: each state has a shape of its own, so that no colour is needed to read it."""

from __future__ import annotations

from collections.abc import Mapping

STATES = ("succeeded", "failed", "cancelled", "running", "queued")
"""From left to right."""

Shapes = Mapping[str, str]

SHAPES: Shapes = dict(zip(STATES, "█×╌▒░", strict=True))  # noqa: RUF001  # a cross, for who sees no red
ASCII: Shapes = dict(zip(STATES, "#x->.", strict=True))


def cells(counts: Mapping[str, int], width: int) -> dict[str, int]:
    """How many of `width` cells each state has; one at least where it has any job, so 100% is never seen too early."""
    present = {state: counts[state] for state in STATES if counts[state] > 0}
    if not present or width < len(present):
        return {}
    exact = {state: number * width / sum(present.values()) for state, number in present.items()}
    given = {state: max(1, int(share)) for state, share in exact.items()}
    while (spare := width - sum(given.values())) != 0:
        step = 1 if spare > 0 else -1
        may_change = [state for state in given if given[state] + step > 0]
        given[max(may_change, key=lambda state: step * (exact[state] - given[state]))] += step
    return given
