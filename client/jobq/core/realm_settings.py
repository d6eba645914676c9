"""What a realm is set to: how long its leases are, in all or lane by lane, and what of it is paused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobq.core.realm import Realm

DEFAULT_LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class RealmSettings:
    lanes: tuple[str, ...] = ()
    """Lowest first."""
    lease: timedelta | None = None
    """Of every lane that has none of its own; DEFAULT_LEASE where it is None."""
    lane_leases: Mapping[str, timedelta] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    """Lanes, or `*`."""
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
    raise NotImplementedError


async def change_settings(realm: Realm, change: SettingsChange) -> RealmSettings:
    """As they are now. Makes the realm if need be. Raises IllegalTransition for one that is being deleted."""
    raise NotImplementedError
