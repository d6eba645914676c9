"""A virtual machine scale set, through Azure Resource Manager: how large it is, larger, and less one machine.

A change goes on when it has been accepted; how it ended, the set's own state says. The operation would say more, but to
read that takes a role in the whole subscription.

Source: REST API "Virtual Machine Scale Sets" (Get, Update, Delete Instances), "Virtual Machine Scale Set VMs" (List).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from azure.core.credentials_async import AsyncTokenCredential

from jobq.adapters.azure_credential import Identity, own_credential
from jobq.errors import BadInput, JobqError, NotAllowed, NotFound, Unreachable

PUBLIC_CLOUD = "https://management.azure.com"
API_VERSION = "2024-07-01"
SECONDS = 30.0
"""For one answer."""
FIRST_PAUSE_SECONDS = 2.0
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_RESOURCE = re.compile(
    r"/subscriptions/[^/?#]+/resourceGroups/[^/?#]+/providers/Microsoft\.Compute/virtualMachineScaleSets/([^/?#]+)",
    re.IGNORECASE,
)
_NO_ROOM = (
    *("quota", "allocationfailed", "allocationrequest", "skunotavailable", "capacity", "operationnotallowed"),
    *("toomanyvms", "insufficient"),
)
"""In the codes of refusals that have to do with how many machines there may be or are."""


class NoCapacity(JobqError):
    """Over a quota, or Azure has no such machines to give now."""


@dataclass(frozen=True, slots=True)
class Machines:
    """The scale set as it is."""

    capacity: int
    working: int
    """Machines that are neither being deleted nor failed."""
    is_changing: bool
    """An earlier change is not done yet."""
    has_failed: bool
    """The last change did not come to a good end."""


class ScaleSet:
    """One scale set. Use it in one event loop, and close it.

    Every call raises NotAllowed, NotFound, or Unreachable for what may be tried again later.
    """

    def __init__(
        self, resource: str, credential: AsyncTokenCredential, *, manager: str = "", patience: timedelta = timedelta(0)
    ) -> None:
        """`resource`: its id. `manager`: the cloud's Resource Manager, where it is not the public one's.

        `patience`: how long what is refused as "not now" is tried again. The credential stays the caller's.
        Raises BadInput.
        """
        self.resource, self.name = resource, scale_set_name(resource)
        self._manager = _checked(manager or PUBLIC_CLOUD)
        self._scope = f"{self._manager}/.default"
        self._credential = Identity(f"scale set {self.name}", credential)
        self._owned: AsyncTokenCredential | None = None
        self._patience = patience.total_seconds()
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def open(
        cls, resource: str, *, manager: str = "", managed_identity: str = "", patience: timedelta = timedelta(0)
    ) -> ScaleSet:
        """With what `az login`, a managed identity or the AZURE_* variables give."""
        scale_set_name(resource)
        own = own_credential(managed_identity)
        scale_set = cls(resource, own, manager=manager, patience=patience)
        scale_set._owned = own
        return scale_set

    async def machines(self) -> Machines:
        """Two reads, or more of a set with hundreds of machines."""
        found = await self._ask("GET", self.resource, "read it")
        working, listed = 0, f"{self.resource}/virtualMachines"
        while listed:
            page = await self._ask("GET", listed, "list its machines")
            states = [str(one.get("properties", {}).get("provisioningState", "")) for one in page.get("value", [])]
            working += sum(state not in ("Deleting", "Failed") for state in states)
            listed = str(page.get("nextLink") or "")
        state = str(found.get("properties", {}).get("provisioningState", ""))
        return Machines(
            self._capacity_in(found),
            working,
            is_changing=state not in ("Succeeded", "Failed", "Canceled"),
            has_failed=state in ("Failed", "Canceled"),
        )

    async def capacity(self) -> int:
        return self._capacity_in(await self._ask("GET", self.resource, "read it"))

    async def grow(self, capacity: int) -> None:
        """Ask for so many machines, which come later. Raises NoCapacity where it is over a quota."""
        body = {"sku": {"capacity": capacity}}
        await self._ask("PATCH", self.resource, f"give it {capacity} machines", body)

    async def remove(self, instance: str) -> None:
        """Delete one machine, by its instance id (its name, in a flexible set); the set wants one less from then on."""
        await self._ask(
            "POST", f"{self.resource}/delete", f"delete its machine {instance}", {"instanceIds": [instance]}
        )

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._owned is not None:
            await self._owned.close()

    async def __aenter__(self) -> ScaleSet:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _capacity_in(self, found: Mapping[str, Any]) -> int:
        try:
            return int(found["sku"]["capacity"])
        except (LookupError, TypeError, ValueError) as error:
            raise Unreachable(f"scale set {self.name} did not say how large it is") from error

    async def _ask(self, method: str, where: str, what: str, body: object = None) -> dict[str, Any]:
        """The answer; asked again while that is "not now"."""
        started, pause = time.monotonic(), FIRST_PAUSE_SECONDS
        while True:
            status, headers, found = await self._once(method, where, what, body)
            if status < 300:
                return found
            error = _error_in(found)
            is_passing = status in _BUSY or (status == 409 and not _is_no_room(error[0]))
            asked = headers.get("Retry-After", "")
            pause = max(pause, float(asked)) if asked.isdecimal() else pause
            if not is_passing or time.monotonic() - started + pause > self._patience:
                raise self._fault(status, what, error)
            await asyncio.sleep(pause)
            pause *= 2

    async def _once(
        self, method: str, where: str, what: str, body: object
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        token = await self._credential.get_token(self._scope)
        headers = {"Authorization": f"Bearer {token.token}", "Accept": "application/json"}
        if self._session is None:
            limits = aiohttp.ClientTimeout(total=SECONDS)
            self._session = aiohttp.ClientSession(timeout=limits, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)
        try:
            async with self._session.request(
                method, self._url(where), json=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, _document(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(
                f"{urlsplit(self._manager).netloc} did not answer: could not {what}, of scale set {self.name} "
                f"({type(error).__name__})"
            ) from error

    def _url(self, where: str) -> str:
        if not where.startswith("/"):
            # From an answer, with its own version. The token is for the Resource Manager, so nobody else gets it.
            if _origin(where) != _origin(self._manager):
                raise Unreachable(f"scale set {self.name}: an answer leads to {urlsplit(where).hostname}; not followed")
            return where
        return f"{self._manager}{where}?api-version={API_VERSION}"

    def _fault(self, status: int, what: str, error: tuple[str, str]) -> JobqError:
        code, text = error
        said = f"could not {what}, scale set {self.name}: {status} {code}".rstrip()
        if status in (401, 403):
            return NotAllowed(
                f"{said}; the identity in use lacks the action, so assign it the role of the deployment that has it "
                "(docs/scaling.md); it takes effect within some minutes"
            )
        if status == 404:
            return NotFound(f"{said}; is the id right, and is it still there? {self.resource}")
        if _is_no_room(code):
            return NoCapacity(f"{said}: {text or 'there is no room for more'}"[:500])
        if status in _BUSY or status == 409:
            return Unreachable(f"{said}: not now; it may be tried again")
        return JobqError(f"{said}: {text}"[:500].rstrip(": "))


def scale_set_name(resource: str) -> str:
    """From its id. Raises BadInput."""
    found = _RESOURCE.fullmatch(resource)
    if found is None:
        raise BadInput(
            f"{resource!r} is not the id of a scale set: it begins with /subscriptions/ and ends with "
            "/providers/Microsoft.Compute/virtualMachineScaleSets/NAME (`az vmss show … --query id --output tsv`)"
        )
    return found[1]


def _checked(manager: str) -> str:
    parts = urlsplit(manager)
    is_here = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise BadInput(f"{manager!r} is no Resource Manager: write for example {PUBLIC_CLOUD}")
    return manager.rstrip("/")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower().removesuffix(":443")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:  # of a proxy, perhaps
        return {}
    return found if isinstance(found, dict) else {}


def _error_in(found: Mapping[str, Any]) -> tuple[str, str]:
    """Code and message."""
    error = found.get("error")
    if not isinstance(error, dict):
        return "", ""
    return str(error.get("code", "")), str(error.get("message", ""))


def _is_no_room(code: str) -> bool:
    return any(part in code.lower() for part in _NO_ROOM)
