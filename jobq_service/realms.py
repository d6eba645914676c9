"""The realms of one stack, opened when first asked for and shared by all requests of this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, Path, Request

from jobq.core.api import RealmApi, list_realms
from jobq.core.documents import Document
from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.errors import BadInput, JobqError
from jobq.model.names import job_id, realm_name, unescape_job
from jobq_service.asked import REALM

WORK_SECONDS = 20.0
"""For which one request changes jobs that match a filter: well below what gateways and callers wait."""
MAX_OPEN = 500
"""Realms whose counter writers are kept. One that was forgotten starts a new writer, which costs a row for a while."""


class Misconfigured(JobqError):
    """Not the caller's fault: what the control plane was started with does not name a stack."""

    exit_code = 2


class Realms:
    """Use it in one event loop: the Azure clients belong to the loop of their first request."""

    def __init__(self, open_stack: Callable[[], Stack]) -> None:
        self._open_stack = open_stack
        self._stack: Stack | None = None
        self._realms: OrderedDict[str, Realm] = OrderedDict()

    def realm(self, name: str) -> Realm:
        """The realm of that name, used before or not. Raises BadInput for what is no realm's name."""
        realm = self._realms.pop(name, None) or Realm(self._opened(), realm_name(name))
        self._realms[name] = realm
        if len(self._realms) > MAX_OPEN:
            self._realms.popitem(last=False)
        return realm

    def api(self, name: str) -> RealmApi:
        return RealmApi(self.realm(name), WORK_SECONDS)

    async def names(self) -> list[str]:
        document = await self.document()
        return [str(name) for name in document["realms"]]

    async def all(self) -> list[Realm]:
        """Every realm that was used. A row with a name that is no realm's is passed over."""
        found = []
        for name in await self.names():
            with suppress(BadInput):
                found.append(self.realm(name))
        return found

    async def document(self) -> Document:
        return await list_realms(Realm(self._opened(), "any"))

    async def close(self) -> None:
        stack, self._stack = self._stack, None
        self._realms.clear()
        if stack is not None:
            await stack.close()

    def _opened(self) -> Stack:
        # No await between the look and the opening, so two first requests cannot open two.
        if self._stack is None:
            try:
                self._stack = self._open_stack()
            except BadInput as error:
                raise Misconfigured(f"the control plane is not set up: {error}") from error
        return self._stack


def realms_of(request: Request) -> Realms:
    realms = request.app.state.realms
    assert isinstance(realms, Realms)
    return realms


_REALM = Path(description="a realm's name", json_schema_extra=dict(REALM))
_JOB = Path(description="a job's id; what is not in `A-Za-z0-9-_.` is written `!` and two hex digits for each byte")


async def _api(request: Request, realm: Annotated[str, _REALM]) -> RealmApi:
    return realms_of(request).api(realm)


async def _job_id(job: Annotated[str, _JOB]) -> str:
    return job_id(unescape_job(job))


Api = Annotated[RealmApi, Depends(_api)]
"""A route's realm."""

JobId = Annotated[str, Depends(_job_id)]
"""A route's job, unescaped."""
