"""How many machines the scale set should have: the decision of each minute, from what is seen and remembered.

The fleet only grows here. A machine that has had nothing to do for a while leaves by itself, so none is taken away
while it is busy, and at night there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobq.core.backlog import Load, wanted_workers

FIRST_PAUSE = timedelta(minutes=10)
LONGEST_PAUSE = timedelta(hours=2)
"""For which as many machines as were refused are not asked for again; doubled by each refusal in a row."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the deployment says."""

    least: int = 0
    most: int = 10
    jobs_per_instance: int = 1
    """That wait or run, for each machine."""
    cooldown: timedelta = timedelta(minutes=3)
    """Between two changes: about as long as a machine needs from its start to its first job."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The scale set as it is now."""

    capacity: int
    """As many machines as it was told to have."""
    working: int
    """Machines that are there, or are being started."""
    is_changing: bool = False
    """An earlier change is not done yet."""
    has_failed: bool = False
    """The last change did not come to a good end."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one minute to the next."""

    changed_at: datetime | None = None
    """When a capacity was asked for last."""
    asked: int = 0
    """That capacity, until it is known what became of it."""
    ceiling: int = 0
    """The least capacity that was refused, as over a quota; 0 where none was."""
    refusals: int = 0
    """In a row."""
    refused_until: datetime | None = None
    """From when on the ceiling may be tried again."""


@dataclass(frozen=True, slots=True)
class Decision:
    capacity: int | None
    """To ask for; None: leave it as it is."""
    why: str


def load_of_all(loads: Iterable[Load]) -> Load:
    """What there is to do in several realms. Where nothing may start yet (delayed retries), nothing waits."""
    due = [load if load.oldest is not None else replace(load, waiting=0) for load in loads]
    return Load(
        waiting=sum(load.waiting for load in due),
        running=sum(load.running for load in due),
        oldest=max((load.oldest for load in due if load.oldest is not None), default=None),
    )


def decide(load: Load, fleet: Fleet, rules: Rules, memory: Memory, now: datetime) -> Decision:
    """A greater capacity where jobs wait for machines that are not there, or none.

    What runs counts for as many machines as it takes, since its workers take nothing else meanwhile.
    """
    wanted = _wanted(load, rules)
    missing = wanted - fleet.working
    if missing <= 0:
        return Decision(None, f"{fleet.working} machines are enough for {load.waiting} waiting jobs")
    if fleet.is_changing:
        return Decision(None, "an earlier change is not done yet")
    if memory.changed_at and now < memory.changed_at + rules.cooldown:
        return Decision(None, "the last change was a moment ago")
    # Above the capacity by what is missing: machines that leave or have failed may still count in it.
    capacity = min(rules.most, fleet.capacity + missing, _allowed(fleet, memory, now))
    if _is_worth_another_try(fleet, memory, now):
        return Decision(fleet.capacity, f"{fleet.capacity - fleet.working} machines did not come")
    if capacity <= fleet.capacity:
        why = "more were refused lately" if memory.ceiling else f"{rules.most} are the most"
        return Decision(None, f"{wanted} machines are wanted, but {why}")
    return Decision(capacity, f"{load.waiting} jobs wait and {load.running} run, for {fleet.working} machines")


def settled(memory: Memory, fleet: Fleet, now: datetime) -> Memory:
    """With what became of the last change, once that is known: a ceiling that it has reached is none."""
    if not memory.asked or fleet.is_changing:
        return memory
    if fleet.has_failed:
        return after_refusal(memory, memory.asked, now)
    if memory.asked < memory.ceiling:
        return replace(memory, asked=0)
    return replace(memory, asked=0, ceiling=0, refusals=0, refused_until=None)


def after_refusal(memory: Memory, capacity: int, now: datetime, at_least: timedelta = timedelta(0)) -> Memory:
    """What to remember when there is no room for so many machines. `at_least`: for which the refusal asked."""
    pause = max(at_least, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(memory.refusals, 10)))
    return replace(memory, asked=0, ceiling=capacity, refusals=memory.refusals + 1, refused_until=now + pause)


def _wanted(load: Load, rules: Rules) -> int:
    if not load.waiting:
        return rules.least
    return wanted_workers(load, jobs_per_worker=rules.jobs_per_instance, least=rules.least, most=rules.most)


def _is_worth_another_try(fleet: Fleet, memory: Memory, now: datetime) -> bool:
    """Whether machines are missing that the set was told to have, and it is time to tell it again."""
    is_over = memory.refused_until is not None and now >= memory.refused_until
    return fleet.working < fleet.capacity and is_over and 0 < memory.ceiling <= fleet.capacity


def _allowed(fleet: Fleet, memory: Memory, now: datetime) -> int:
    """The greatest capacity to try: below one that was refused half-way to it, and it itself when its pause is over."""
    if not memory.ceiling or memory.refused_until is None:
        return fleet.capacity + 1_000_000
    if now >= memory.refused_until:
        return max(memory.ceiling, fleet.capacity + 1)
    return (fleet.capacity + memory.ceiling) // 2
