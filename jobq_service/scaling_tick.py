"""What the second timer does: give the scale set as many machines as the jobs that wait in its realms take."""

from __future__ import annotations

import logging
from dataclasses import replace

from jobq.adapters.scale_set import NoCapacity, ScaleSet
from jobq.core.backlog import Load, load_of, realm_backlog
from jobq.core.ports import Row, Value, create
from jobq.core.ports import replace as replaced
from jobq.core.realm import Realm
from jobq.errors import Conflict, JobqError
from jobq.model.durations import from_iso, to_iso
from jobq.model.names import key_part
from jobq_service.realms import Realms
from jobq_service.scaling import Decision, Fleet, Memory, after_refusal, decide, load_of_all, settled
from jobq_service.settings import ScaleSettings

logger = logging.getLogger(__name__)


async def scale_fleet(realms: Realms, settings: ScaleSettings, scale_set: ScaleSet) -> Decision:
    """One look, and one change at most: another timer's change of the same minute makes this one give way.

    Raises what keeps it from the scale set, or from every realm. A realm in trouble counts as one with nothing to do:
    no machine is taken away for that.
    """
    remembered = Remembered(realms.realm(settings.realms[0]), scale_set.name)
    memory = await remembered.read()
    load = load_of_all(await _loads(realms, settings.realms))
    machines = await scale_set.machines()
    fleet = Fleet(machines.capacity, machines.working, machines.is_changing, machines.has_failed)
    now = remembered.realm.now()
    known = settled(memory, fleet, now)
    if known.refusals > memory.refusals:
        logger.warning("scale set %s: not all of %d machines came; %s", scale_set.name, memory.asked, _until(known))
    decision = decide(load, fleet, settings.rules, known, now)
    if decision.capacity is not None:
        # First the row: where two look at once one of them does not fit, and a crash in between costs a cooldown.
        known = replace(known, changed_at=now, asked=decision.capacity)
        return await _grow(remembered, known, decision, scale_set)
    logger.debug("left scale set %s with %d machines: %s", scale_set.name, fleet.capacity, decision.why)
    if known != memory:
        await remembered.write(known)
    return decision


async def _grow(remembered: Remembered, known: Memory, decision: Decision, scale_set: ScaleSet) -> Decision:
    assert known.changed_at is not None
    if not await remembered.write(known):
        return Decision(None, "another timer was faster")
    try:
        await scale_set.grow(known.asked)
    except NoCapacity as error:
        known = after_refusal(known, known.asked, known.changed_at)
        await remembered.write(known)
        logger.warning("%s; %s", error, _until(known))
        return Decision(None, str(error))
    except JobqError:
        await remembered.write(replace(known, asked=0))
        raise
    logger.info("gave scale set %s %d machines: %s", scale_set.name, known.asked, decision.why)
    return decision


class Remembered:
    """The memory's row, in a partition of the first realm."""

    def __init__(self, realm: Realm, scale_set: str) -> None:
        self.realm = realm
        self._where, self._key = f"{realm.name}~scale", key_part(scale_set)
        self._etag = ""

    async def read(self) -> Memory:
        row = await self.realm.stack.table.get(self._where, self._key)
        self._etag = row.etag if row else ""
        return _memory_of(row) if row else Memory()

    async def write(self, memory: Memory) -> bool:
        """False where somebody else has written meanwhile."""
        values = _values_of(memory)
        change = replaced(self._key, values, self._etag) if self._etag else create(self._key, values)
        try:
            (self._etag,) = await self.realm.stack.table.commit(self._where, [change])
        except Conflict:
            return False
        return True


async def _loads(realms: Realms, names: tuple[str, ...]) -> list[Load]:
    loads, trouble = [], None
    for name in names:
        try:
            loads.append(load_of(await realm_backlog(realms.realm(name))))
        except JobqError as error:
            logger.warning("counted nothing in realm %s: %s", name, error)
            trouble = error
    if trouble is not None and not loads:
        raise trouble
    return loads


def _until(memory: Memory) -> str:
    assert memory.refused_until is not None
    return f"fewer are asked for until {to_iso(memory.refused_until)}"


def _memory_of(row: Row) -> Memory:
    values = row.values
    changed_at, until = str(values.get("changed_at", "")), str(values.get("refused_until", ""))
    return Memory(
        changed_at=from_iso(changed_at) if changed_at else None,
        asked=int(values.get("asked", 0)),
        ceiling=int(values.get("ceiling", 0)),
        refusals=int(values.get("refusals", 0)),
        refused_until=from_iso(until) if until else None,
    )


def _values_of(memory: Memory) -> dict[str, Value]:
    return {
        "changed_at": to_iso(memory.changed_at) if memory.changed_at else "",
        "asked": memory.asked,
        "ceiling": memory.ceiling,
        "refusals": memory.refusals,
        "refused_until": to_iso(memory.refused_until) if memory.refused_until else "",
    }
