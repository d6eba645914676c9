"""How fast one caller may ask: a token bucket for each, in this process alone; other instances count for themselves.

It is there for what runs away, as a loop that never waits: what pages, pushes and fleets ask stays far below it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from jobq.settings import PRIVILEGES
from jobq_service.guard import KEY_HEADER
from jobq_service.problems import problem

BURST_SECONDS = 10
"""A caller that was quiet may ask at once what the rate gives in this time."""
MAX_CALLERS = 10_000
"""That are remembered. Who was not heard of for longest is forgotten first, and begins with a full bucket."""
FREE_PATHS = frozenset({"/api/health"})
"""What watches the control plane must not take "too fast" for "down"; it costs nothing."""


class RateLimit:
    """`per_second`: requests of one caller, in the long run; 0 is no limit."""

    def __init__(self, per_second: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._now = now
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each caller's bucket will be full again, which says how much is in it at any time."""

    def wait_for(self, caller: str) -> float:
        """Take a token; 0, or the seconds until there is one, and then none is taken."""
        if not self._per_second:
            return 0.0
        now = self._now()
        full_at = max(now, self._full_at.pop(caller, now)) + 1 / self._per_second
        missing = full_at - now - BURST_SECONDS
        self._full_at[caller] = full_at if missing <= 0 else full_at - 1 / self._per_second
        if len(self._full_at) > MAX_CALLERS:
            self._full_at.popitem(last=False)
        return max(0.0, missing)


class RateLimited:
    """An app that answers 429 to who asks too fast."""

    def __init__(self, app: ASGIApp, limit: RateLimit) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_limited = scope["type"] == "http" and scope["path"] not in FREE_PATHS
        if not is_limited or not (wait := self.limit.wait_for(caller_of(scope))):
            await self.app(scope, receive, send)
            return
        seconds = math.ceil(wait)
        detail = f"more requests than one caller may send (see JOBQ_RATE_LIMIT); go on after {seconds} s, and slower"
        headers = {"retry-after": str(seconds)}
        await problem(429, detail, kind="urn:jobq:too-fast", headers=headers)(scope, receive, send)


def caller_of(scope: Scope) -> str:
    """Who asks: the hash of the key, where one has been checked before this; else the address."""
    headers = Headers(scope=scope)
    function = scope["path"].removeprefix("/api/").partition("/")[0]
    if (key := headers.get(KEY_HEADER, "")) and function in PRIVILEGES:
        return hashlib.sha256(key.encode()).hexdigest()
    if scope.get("client"):
        return _network(scope["client"][0])
    return _network(_forwarded(headers)) if "azure_functions.invocation_id" in scope else ""


def _forwarded(headers: Headers) -> str:
    """The address that Azure's front end has seen: the last in X-Forwarded-For, as it appends there what it sees.

    What comes before is the caller's own word. Behind a gateway or Front Door it is that one's address, and so all who
    come through it without a key are one caller.
    """
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if last.startswith("["):
        return last[1:].partition("]")[0]
    return last.partition(":")[0] if last.count(":") == 1 else last


def _network(address: str) -> str:
    """An IPv6 address by its first 64 bits: whoever has one has all that begin so. What is no address is one caller."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
