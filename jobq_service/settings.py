"""What the control plane takes from the environment, beside what `jobq.settings` reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from jobq.connect import open_stack
from jobq.core.ports import Stack
from jobq.errors import BadInput
from jobq.model.address import Address, Backend, parse_address
from jobq.model.durations import parse_duration
from jobq.model.names import realm_name
from jobq.settings import Settings, read_settings
from jobq_service.scaling import Rules

DEFAULT_BODY_BYTES = 8 * 1024 * 1024
DEFAULT_RATE_LIMIT = 200
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
    rate_limit: int = DEFAULT_RATE_LIMIT
    """Requests a second of one caller to one process; 0 is no limit."""
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
        max_body_bytes=_whole(env, "JOBQ_MAX_BODY_BYTES", DEFAULT_BODY_BYTES, least=1024, what="bytes"),
        rate_limit=_whole(env, "JOBQ_RATE_LIMIT", DEFAULT_RATE_LIMIT, least=0, what="requests a second"),
        serve_keys=env.get("JOBQ_SERVE_KEYS", ""),
    )


@dataclass(frozen=True, slots=True)
class ScaleSettings:
    """The scale set that the control plane gives machines, and the realms whose jobs they run."""

    resource: str
    """Its id."""
    realms: tuple[str, ...]
    rules: Rules
    managed_identity: str = ""
    """The client id of the one that may change the scale set, from JOBQ_SCALE_CLIENT_ID; without, as for all else."""


def read_scale_settings(environ: Mapping[str, str] | None = None) -> ScaleSettings | None:
    """None where JOBQ_SCALE_SET names no scale set. Raises BadInput, naming the variable."""
    env = os.environ if environ is None else environ
    resource = env.get("JOBQ_SCALE_SET", "").strip()
    if not resource:
        return None
    usual = Rules()
    rules = Rules(
        least=_whole(env, "JOBQ_SCALE_MIN", usual.least, least=0, what="machines"),
        most=_whole(env, "JOBQ_SCALE_MAX", usual.most, least=1, what="machines"),
        jobs_per_instance=_whole(env, "JOBQ_SCALE_JOBS_PER_INSTANCE", usual.jobs_per_instance, least=1, what="jobs"),
        cooldown=_duration(env, "JOBQ_SCALE_COOLDOWN", usual.cooldown),
    )
    if rules.most < rules.least:
        raise BadInput(f"JOBQ_SCALE_MIN is {rules.least}, so JOBQ_SCALE_MAX cannot be {rules.most}: let it be more")
    names = env.get("JOBQ_SCALE_REALMS", "").strip() or _ANY_REALM
    chosen = tuple(realm_name(name.strip()) for name in names.split(","))
    return ScaleSettings(resource, chosen, rules, env.get("JOBQ_SCALE_CLIENT_ID", "").strip())


def from_anywhere(address: Address) -> Address:
    """A folder by its absolute path, so that a worker in another directory finds it."""
    if address.backend is not Backend.LOCAL:
        return address
    return replace(address, place=str(Path(address.place).resolve()))


def _whole(env: Mapping[str, str], name: str, default: int, *, least: int, what: str) -> int:
    text = env.get(name, "").strip() or str(default)
    if not text.isdecimal() or int(text) < least:
        raise BadInput(f"{name} must be a number of {what}, {least} or more, not {text!r}")
    return int(text)


def _duration(env: Mapping[str, str], name: str, default: timedelta) -> timedelta:
    text = env.get(name, "").strip()
    try:
        return parse_duration(text) if text else default
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from error
