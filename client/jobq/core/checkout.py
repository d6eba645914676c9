"""Checkout: a job leased to a caller who runs it elsewhere, and says over HTTP how that ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from jobq.core.realm import Realm
from jobq.model.job import Job, Json

CHECKOUT = "checkout-"
"""What the worker of a job that is checked out begins with; its token follows."""


@dataclass(frozen=True, slots=True)
class CheckedOut:
    realm: str
    job: Job
    """As claimed, with its payload."""
    token: str
    """Names the lease: ack, nack and extend need it."""
    lane: str
    """It was taken from."""
    lease: timedelta


async def check_out(
    realms: Sequence[Realm], *, count: int = 1, lease: timedelta | None = None, max_lane: str | None = None
) -> list[CheckedOut]:
    """Up to `count` jobs, from the lowest lane over all the realms, of which none is another caller's.

    Without a `lease`, as long as the lane or its realm says.
    """
    raise NotImplementedError


async def ack(realm: Realm, job_id: str, token: str, *, result: Json = None, message: str = "") -> Job:
    """It succeeded. Raises NotFound, LeaseLost."""
    raise NotImplementedError


async def nack(
    realm: Realm,
    job_id: str,
    token: str,
    *,
    failed: bool = False,
    exit_code: int | None = None,
    message: str = "",
    delay: timedelta | None = None,
) -> Job:
    """Put it back, to be taken by anybody; with `failed` its attempt has failed, and its retries decide.

    Raises NotFound, LeaseLost.
    """
    raise NotImplementedError


async def extend(realm: Realm, job_id: str, token: str, *, lease: timedelta | None = None) -> CheckedOut:
    """Hold it for `lease` from now on. `job.cancel_requested` says whether to stop. Raises NotFound, LeaseLost."""
    raise NotImplementedError
