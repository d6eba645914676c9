"""Callers of checkout, in place of `jobq pull --print` and its loops in shells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from jobq.core.checkout import CheckedOut, check_out
from jobq.core.realm import Realm
from tests.proof.world import LEASE


async def check_out_one(realm: Realm, *, lease: timedelta | None = LEASE, max_lane: str | None = None) -> CheckedOut:
    """The next job, which must be there."""
    [held] = await check_out([realm], lease=lease, max_lane=max_lane)
    return held


def ids_of(held: Sequence[CheckedOut]) -> list[str]:
    return [one.job.id for one in held]
