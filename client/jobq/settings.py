"""The environment and the configuration files, read here and nowhere else.

The first that says something wins: an option, the queue given first on the command line, the environment,
`.jobq.toml` (here or in a folder above), `~/.config/jobq.toml`, `/etc/jobq.toml`. Names of jobq's ancestors are read
as aliases. A file may hold `queue`, `tables`, `connection_string`, `servicebus_connection_string`, `key`,
`enqueue_key`, `status_key`, `manage_key` and `checkout_key`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jobq.errors import BadInput
from jobq.model.address import FORMS

PRIVILEGES = ("enqueue", "status", "manage", "checkout")
"""Of the HTTP control plane: each may have a key of its own."""

_KEYS = ("key", *(f"{privilege}_key" for privilege in PRIVILEGES))
_KNOWN = ("queue", "tables", "connection_string", "servicebus_connection_string", *_KEYS)
_SYSTEM = Path("/etc/jobq.toml")


@dataclass(frozen=True, slots=True)
class Settings:
    """What jobq takes from environment and files, apart from the options of its commands."""

    queue: str = ""
    """The address of a realm."""
    tables: str = ""
    """The storage account with the rows and blobs of realms on Service Bus."""
    connection_string: str = field(default="", repr=False)
    """Of a storage account, for Azurite and tests; a login (Entra ID) is used without it."""
    servicebus_connection_string: str = field(default="", repr=False)
    """Of a Service Bus namespace, for its emulator and tests; a login is used without it."""
    managed_identity: str = ""
    """The client id of the one to log in as, where the machine has several; what AZURE_CLIENT_ID says comes first."""
    key: str = field(default="", repr=False)
    """Of the HTTP control plane's functions."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys that are good for one privilege only, by its name."""

    def address_text(self) -> str:
        """Raises BadInput, naming the four forms, when no queue is given."""
        if not self.queue:
            raise BadInput(f"no queue is given: pass it first, or set JOBQ. Write {FORMS}")
        return self.queue

    def key_for(self, privilege: str) -> str:
        return self.keys.get(privilege) or self.key


def read_settings(
    environ: Mapping[str, str] | None = None, *, queue: str = "", folder: Path | None = None, system: Path = _SYSTEM
) -> Settings:
    """`queue`: as given on the command line. Raises BadInput, naming the file, for one that cannot be understood."""
    env = os.environ if environ is None else environ
    found = {"queue": queue or _queue_of(env)}
    found |= {name: env.get(f"JOBQ_{name.upper()}", "") for name in _KNOWN if name != "queue"}
    is_given = bool(found["queue"])
    for file in _files(env, folder or Path.cwd(), system):
        # A nearer file's queue never gets a farther file's key: a folder that others made may name a host of theirs.
        is_foreign = bool(found["queue"]) and not is_given
        for name, value in _read(file).items():
            if not found[name] and not (is_foreign and name in _KEYS):
                found[name] = value
    return Settings(
        **{name: found[name] for name in _KNOWN if name not in _KEYS},
        managed_identity="" if env.get("AZURE_CLIENT_ID") else env.get("DEFAULT_IDENTITY_CLIENT_ID", ""),
        key=found["key"],
        keys={privilege: key for privilege in PRIVILEGES if (key := found[f"{privilege}_key"])},
    )


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where spans and metrics go; how, OpenTelemetry's own variables say, which its SDK reads itself."""

    otlp_traces: bool = False
    otlp_metrics: bool = False
    otlp_protocol: str = ""
    connection_string: str = field(default="", repr=False)
    """Of Application Insights."""
    traceparent: str = ""
    """The trace that this process is part of, by who has started it."""

    @property
    def is_on(self) -> bool:
        return self.otlp_traces or self.otlp_metrics or bool(self.connection_string)


def read_telemetry_settings(environ: Mapping[str, str] | None = None) -> TelemetrySettings:
    env = os.environ if environ is None else environ
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return TelemetrySettings()

    def is_sent(signal: str) -> bool:
        endpoint = env.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        return bool(endpoint) and env.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"

    return TelemetrySettings(
        otlp_traces=is_sent("TRACES"),
        otlp_metrics=is_sent("METRICS"),
        otlp_protocol=env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip().lower(),
        connection_string=env.get("APPLICATIONINSIGHTS_CONNECTION_STRING", "").strip(),
        traceparent=env.get("TRACEPARENT", ""),
    )


_SECRETS = re.compile(r"JOBQ_(?:.*_)?(?:KEYS?|CONNECTION_STRING)")


def inherited_environment() -> dict[str, str]:
    """What a worker's jobs inherit: its environment less jobq's keys; one that needs a key is given it by its push."""
    return {name: value for name, value in os.environ.items() if not _SECRETS.fullmatch(name)}


NEVER = "366d"
"""As long as a duration on the command line may be."""


def worker_defaults(environ: Mapping[str, str] | None = None) -> dict[str, object]:
    """Options of a worker, by parameter, as an ancestor's variables give them; the options and their own ones win.

    JOBQ_TIME_LIMIT; JOBQ_KILL_TIMEOUT (0: never); JOBQ_DISABLE_SCHEDULED_EVENTS.
    """
    env = os.environ if environ is None else environ
    grace = env.get("JOBQ_KILL_TIMEOUT", "").strip()
    given: dict[str, object] = {
        "time_limit": env.get("JOBQ_TIME_LIMIT", "").strip(),
        "grace": NEVER if grace and not grace.strip("0") else grace,
        "scheduled_events": "off" if _is_true(env.get("JOBQ_DISABLE_SCHEDULED_EVENTS", "")) else "",
    }
    return {name: value for name, value in given.items() if value}


def worker_labels(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a worker says of itself unasked: `environment`, where JOBQ_ENVIRONMENT_NAME gives it one."""
    env = os.environ if environ is None else environ
    name = env.get("JOBQ_ENVIRONMENT_NAME", "").strip()[:100]
    return {"environment": name} if name else {}


def worker_image(environ: Mapping[str, str] | None = None) -> str:
    """The image of the container that a worker runs in, as JOBQ_IMAGE says: nothing inside a container knows it."""
    env = os.environ if environ is None else environ
    return env.get("JOBQ_IMAGE", "").strip()[:300]


def _is_true(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


def _queue_of(env: Mapping[str, str]) -> str:
    storage, queue = env.get("JOBQ_STORAGE", ""), env.get("JOBQ_QUEUE", "")
    both = f"{storage}/{queue}" if storage and queue else ""
    return env.get("JOBQ") or env.get("JOBQ_STORAGE_QUEUE") or both or env.get("RESTQ_CLIENT_URI", "")


def _files(env: Mapping[str, str], folder: Path, system: Path) -> Iterator[Path]:
    """Those that exist, nearest first."""
    above = (place / ".jobq.toml" for place in (folder, *folder.parents))
    nearest = next((file for file in above if file.is_file() and _is_trusted(file)), None)
    if nearest:
        yield nearest
    home = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    yield from (file for file in (Path(home, "jobq.toml"), system) if (home or file is system) and file.is_file())


def _is_trusted(file: Path) -> bool:
    """Whether it is the caller's own, or root's: in a folder that all may write to, others leave files too."""
    return not hasattr(os, "getuid") or file.stat().st_uid in (0, os.getuid())


def _read(file: Path) -> dict[str, str]:
    import tomllib

    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file}: {error}") from error
    for name, value in data.items():
        if name not in _KNOWN:
            raise BadInput(f"{file}: unknown key {name!r}; known are {', '.join(_KNOWN)}")
        if not isinstance(value, str):
            raise BadInput(f"{file}: {name!r} must be a text")
    return data
