"""The HTTP control plane: whether it answers, its version, and what each key is good for. Nothing is changed there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from jobq import __version__
from jobq.doctor.check import Checkup, Doubt
from jobq.doctor.probes import new_name
from jobq.doctor.pulse import examine_pulse
from jobq.errors import BadInput, IllegalTransition, LeaseLost, NotAllowed, NotFound
from jobq.http_calls import Calls
from jobq.model.address import Address
from jobq.settings import PRIVILEGES, Settings

_ANSWERED = (NotFound, BadInput, IllegalTransition, LeaseLost)
"""What the service says of a job that is not there, to those who may ask."""


async def examine_service(address: Address, settings: Settings, checkup: Checkup) -> None:
    if not await examine_pulse(f"{address.place}/health", checkup):
        return
    calls = Calls(address.place, settings.key_for)
    visit = _Visit(calls, address.realm, any(map(settings.key_for, PRIVILEGES)))
    try:
        if not await checkup.look("service", lambda: asyncio.to_thread(_health, calls)):
            return
        for privilege, ask in visit.questions().items():
            await checkup.look(f"{privilege} key", partial(asyncio.to_thread, visit.try_key, privilege, ask))
    finally:
        calls.close()


def _health(calls: Calls) -> str:
    """Raises Doubt where its version is another one."""
    version = str(calls.ask("GET", "health").get("version", "unknown"))
    if version != __version__:
        raise Doubt(
            f"the service is jobq {version}, and this is {__version__}; have both the same, or they may misunderstand "
            "each other"
        )
    return f"jobq {version}, as here"


@dataclass(frozen=True, slots=True)
class _Visit:
    calls: Calls
    realm: str
    has_keys: bool
    """Whether there is a key for anything."""

    def questions(self) -> dict[str, Callable[[], str]]:
        """For each privilege one that costs little and changes nothing."""
        return {"enqueue": self._enqueue, "status": self._status, "manage": self._manage, "checkout": self._checkout}

    def try_key(self, privilege: str, ask: Callable[[], str]) -> str:
        """Raises Doubt where no key is set for this and one is for something else: not everybody may do all."""
        has_key = bool(self.calls.key_for(privilege))
        try:
            found = ask()
        except NotAllowed as error:
            if self.has_keys and not has_key:
                raise Doubt(str(error)) from error
            raise
        return found if has_key else f"{found}, without a key"

    def _enqueue(self) -> str:
        self._ask("POST", f"enqueue/{self.realm}/files", {"names": []})
        return "may push"

    def _status(self) -> str:
        where = self.calls.ask("GET", f"status/{self.realm}/where")
        tables = f" (its rows are in {where['tables']})" if where.get("tables") else ""
        return f"may look; workers pull from {where.get('address')}{tables}"

    def _manage(self) -> str:
        self._ask("POST", f"manage/{self.realm}/cancel", {"ids": [new_name()]})
        return "may cancel, retry and remove"

    def _checkout(self) -> str:
        self._ask("POST", f"checkout/{self.realm}/jobs/{new_name()}/ack", {"token": new_name()})
        return "may lease jobs"

    def _ask(self, method: str, path: str, body: object) -> None:
        """The job in question is not there: to be told so is as good as any answer."""
        try:
            self.calls.ask(method, path, body=body)
        except _ANSWERED:
            return
