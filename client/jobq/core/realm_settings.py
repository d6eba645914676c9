"""What a realm is set to: how long its leases are, in all or lane by lane, and what of it is paused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.erase import once_open
from jobq.core.ports import Row, Value, create, merge
from jobq.core.realm import Realm, is_closed, lanes_in, paused_in
from jobq.core.rows import REALMS
from jobq.errors import BadInput, Conflict, NotFound, ReplyLost
from jobq.model.durations import from_iso, to_iso
from jobq.model.names import DEFAULT_LANE, lane_name, lane_order
from jobq.model.wire import dumps

DEFAULT_LEASE = timedelta(minutes=10)
MIN_LEASE = timedelta(seconds=1)
MAX_LEASE = timedelta(days=7)
"""A Storage queue holds a message no longer."""


@dataclass(frozen=True, slots=True)
class RealmSettings:
    lanes: tuple[str, ...] = ()
    """Lowest first."""
    lease: timedelta | None = None
    """Of every lane that has none of its own; DEFAULT_LEASE where it is None."""
    lane_leases: Mapping[str, timedelta] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    """Lanes, or `*`, as of a realm that is being deleted."""
    created_at: datetime | None = None
    is_deleting: bool = False

    def lease_of(self, lane: str) -> timedelta:
        return self.lane_leases.get(lane) or self.lease or DEFAULT_LEASE


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """None leaves a setting as it is; NO_LEASE takes a lease time away."""

    lease: timedelta | None = None
    lane_leases: Mapping[str, timedelta] = field(default_factory=dict)


NO_LEASE = timedelta(0)


async def settings_of(realm: Realm) -> RealmSettings:
    """One read. Raises NotFound for a realm that was never used."""
    row = await realm.row()
    if row is None:
        raise NotFound(f"there is no realm {realm.address} yet; the first push makes it, and so does a setting")
    return settings_in(row)


async def settings_or_default(realm: Realm) -> RealmSettings:
    """The same, and for a realm that was never used what it begins with. What is taken from it, and how, this says."""
    return settings_in(await realm.row())


async def change_settings(realm: Realm, change: SettingsChange) -> RealmSettings:
    """As they are now. Makes the realm if need be; the lanes with a lease need not be there yet.

    Raises BadInput for a lease that is too short or too long, and RealmClosed for a realm that is being deleted.
    """
    _check(change)
    while True:
        row = await once_open(realm, realm.open_row)
        before = settings_in(row)
        lease = before.lease if change.lease is None else change.lease
        kept = {lane: length for lane, length in {**before.lane_leases, **change.lane_leases}.items() if length}
        values: dict[str, Value] = {
            "lease": (lease or NO_LEASE).total_seconds(),
            "lane_leases": dumps({lane: kept[lane].total_seconds() for lane in sorted(kept, key=lane_order)}),
        }
        is_new: dict[str, Value] = {"lanes": DEFAULT_LANE, "created_at": to_iso(realm.now())}
        wanted = merge(realm.name, values, row.etag) if row else create(realm.name, is_new | values)
        try:
            (etag,) = await realm.stack.table.commit(REALMS, [wanted])
        except (Conflict, ReplyLost):
            continue
        return settings_in(Row(realm.name, etag, {**(row.values if row else {}), **wanted.values}))


def settings_in(row: Row | None) -> RealmSettings:
    """Of a realm's row."""
    values = row.values if row else {}
    seconds, told = float(values.get("lease", 0)), json.loads(str(values.get("lane_leases") or "{}"))
    return RealmSettings(
        lanes=tuple(sorted(lanes_in(row), key=lane_order)),
        lease=timedelta(seconds=seconds) if seconds else None,
        lane_leases={lane: timedelta(seconds=length) for lane, length in told.items()},
        paused=tuple(sorted(paused_in(row), key=lane_order)),
        created_at=from_iso(str(values["created_at"])) if values.get("created_at") else None,
        is_deleting=row is not None and is_closed(row),
    )


def _check(change: SettingsChange) -> None:
    for lease in (change.lease or NO_LEASE, *change.lane_leases.values()):
        if lease and not MIN_LEASE <= lease <= MAX_LEASE:
            raise BadInput(f"{lease.total_seconds():g} s is no lease: it takes from 1 s to 7 days, or 0 for none")
    for lane in change.lane_leases:
        lane_name(lane)
