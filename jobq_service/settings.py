"""What the control plane takes from the environment, beside what `jobq.settings` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobq.connect import open_stack
from jobq.core.ports import Stack
from jobq.errors import BadInput
from jobq.model.address import Address, Backend, parse_address
from jobq.settings import Settings, read_settings

DEFAULT_BODY_BYTES = 8 * 1024 * 1024
_ANY_REALM = "default"


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    base: Settings
    storage: str = ""
    """A Storage account without a realm, from JOBQ_STORAGE: all that a deployed control plane has to know."""
    servicebus: str = ""
    """A Service Bus namespace, from JOBQ_SERVICEBUS, where tickets travel through one; the account has the rows."""
    max_body_bytes: int = DEFAULT_BODY_BYTES
    """Of a request, both as sent and inflated."""
    serve_keys: str = field(default="", repr=False)
    """The keys `python -m jobq_service` asks for: one, or `enqueue=…,status=…,manage=…,checkout=…`."""

    def address(self) -> Address:
        """Where the realms are; its own realm does not matter. Raises BadInput where nothing says it."""
        if self.base.queue or not (self.storage or self.servicebus):
            return parse_address(self.base.address_text())
        if not self.servicebus:
            return parse_address(f"{self.storage}/{_ANY_REALM}")
        return replace(parse_address(f"sb://{self.servicebus}/{_ANY_REALM}"), tables=self.base.tables or self.storage)

    def stack(self) -> Stack:
        return open_stack(from_anywhere(self.address()), self.base)


def read_service_settings(environ: Mapping[str, str] | None = None, *, queue: str = "") -> ServiceSettings:
    """`queue`: as given on the command line. Raises BadInput for a limit that is no number."""
    env = os.environ if environ is None else environ
    return ServiceSettings(
        base=read_settings(env, queue=queue),
        storage=env.get("JOBQ_STORAGE", ""),
        servicebus=env.get("JOBQ_SERVICEBUS", ""),
        max_body_bytes=_whole(env, "JOBQ_MAX_BODY_BYTES", DEFAULT_BODY_BYTES),
        serve_keys=env.get("JOBQ_SERVE_KEYS", ""),
    )


def from_anywhere(address: Address) -> Address:
    """A folder by its absolute path, so that a worker in another directory finds it."""
    if address.backend is not Backend.LOCAL:
        return address
    return replace(address, place=str(Path(address.place).resolve()))


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < 1024:
        raise BadInput(f"{name} must be a number of bytes, 1024 or more, not {text!r}")
    return int(text)
