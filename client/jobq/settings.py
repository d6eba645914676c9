"""The environment and the configuration files, read here and nowhere else.

The first that says something wins: an option, the queue given first on the command line, the environment,
`.jobq.toml` (here or in a folder above), `~/.config/jobq.toml`, `/etc/jobq.toml`. Names of jobq's ancestors are read
as aliases. A file may hold `queue`, `tables`, `connection_string`, `servicebus_connection_string`, `key`,
`enqueue_key`, `status_key`, `manage_key` and `checkout_key`, and for each command a table with defaults of its options.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jobq.errors import BadInput
from jobq.model.address import FORMS
from jobq.settings_files import SYSTEM, ConfigFile, Found, find_files, read_file

PRIVILEGES = ("enqueue", "status", "manage", "checkout")
"""Of the HTTP control plane: each may have a key of its own."""

_KEYS = ("key", *(f"{privilege}_key" for privilege in PRIVILEGES))
_PLACES = ("tables", "connection_string", "servicebus_connection_string")
_KNOWN = ("queue", *_PLACES, *_KEYS)
_ONLY_VARIABLES = {
    "image": "JOBQ_IMAGE",
    "environment": "JOBQ_ENVIRONMENT_NAME",
    "managed_identity": "DEFAULT_IDENTITY_CLIENT_ID",
    "resource_manager": "JOBQ_RESOURCE_MANAGER",
    "serve_keys": "JOBQ_SERVE_KEYS",
    "max_body_bytes": "JOBQ_MAX_BODY_BYTES",
    "rate_limit": "JOBQ_RATE_LIMIT",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "applicationinsights_connection_string": "APPLICATIONINSIGHTS_CONNECTION_STRING",
}
"""What no file says."""

SECRETS = frozenset({*_KEYS, *(name for name in (*_KNOWN, *_ONLY_VARIABLES) if name.endswith(("_string", "_keys")))})
"""Settings that are shown to nobody."""


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
    resource_manager: str = ""
    """The URL of the cloud's Resource Manager, where it is not the public cloud's."""
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
    environ: Mapping[str, str] | None = None, *, queue: str = "", folder: Path | None = None, system: Path = SYSTEM
) -> Settings:
    """`queue`: as given on the command line. Raises BadInput, naming the file, for one that cannot be understood."""
    env = os.environ if environ is None else environ
    files = read_files(env, folder=folder, system=system)
    if problem := next((problem for file in files for problem in file.problems), ""):
        raise BadInput(problem)
    layers = find_settings(files, env, queue=queue)
    found = {name: next((str(one.value) for one in says if not one.unused), "") for name, says in layers.items()}
    keys = {privilege: key for privilege in PRIVILEGES if (key := found.pop(f"{privilege}_key"))}
    identity = "" if env.get("AZURE_CLIENT_ID") else env.get("DEFAULT_IDENTITY_CLIENT_ID", "")
    manager = env.get("JOBQ_RESOURCE_MANAGER", "").strip()
    return Settings(**found, managed_identity=identity, resource_manager=manager, keys=keys)


def read_files(
    environ: Mapping[str, str] | None = None, *, folder: Path | None = None, system: Path = SYSTEM
) -> list[ConfigFile]:
    """The configuration files with what they say, nearest first; also those that are not read, and why."""
    env = os.environ if environ is None else environ
    home = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    files = find_files(folder or _here(), Path(home, "jobq.toml") if home else None, system)
    return [read_file(file, _KNOWN) if file.state == "read" else file for file in files]


def find_settings(
    files: Iterable[ConfigFile], environ: Mapping[str, str] | None = None, *, queue: str = ""
) -> dict[str, list[Found]]:
    """What each layer says of each setting, nearest first. `queue`: as given on the command line.

    Others may have made the folder: its file names a host of theirs perhaps, for our keys or for our jobs.
    """
    env = os.environ if environ is None else environ
    found = {name: [*_from(env, f"JOBQ_{name.upper()}")] for name in _KNOWN}
    found["queue"] = [*([Found(queue, "the command line")] if queue else []), *_queues_of(env)]
    is_by_hand = bool(found["queue"])
    for file in files:
        has_nearer = bool(found["queue"])
        for name, value in file.settings.items():
            unused = ""
            if name in _KEYS and has_nearer and not is_by_hand:
                unused = "a key is not sent to the queue that a nearer file names"
            elif name in _PLACES and file.is_nearby and (has_nearer or not file.settings.get("queue")):
                unused = "a file that may have come with the folder says where the jobs go only for the queue it names"
            if value:
                found[name].append(Found(value, f"{file.path}: {name}", unused))
    found["queue"] = [_with_realm(one, env.get("RESTQ_CLI_REALM", "").strip()) for one in found["queue"]]
    return found


def find_variables(environ: Mapping[str, str] | None = None) -> dict[str, list[Found]]:
    """What is said of settings that no file has."""
    env = os.environ if environ is None else environ
    return {name: [*_from(env, variable)] for name, variable in _ONLY_VARIABLES.items()}


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


_ANCESTORS: dict[str, dict[str, str]] = {
    "worker": {
        "time_limit": "JOBQ_TIME_LIMIT",
        "grace": "JOBQ_KILL_TIMEOUT",
        "scheduled_events": "JOBQ_DISABLE_SCHEDULED_EVENTS",
    },
    "pull": {"grace": "JOBQ_KILL_TIMEOUT", "count": "RESTQ_CLIENT_COUNT"},
    "add": {"tags": "RESTQ_CLI_TAGS", "lane": "RESTQ_CLI_QUEUE_ID"},
}
"""Of the parameters of commands, the variables that an ancestor has for them."""


def inherited_options(command: str, environ: Mapping[str, str] | None = None) -> dict[str, Found]:
    """What an ancestor's variables say of a command's options, by parameter; the options and their own variables win.

    JOBQ_KILL_TIMEOUT=0: never; JOBQ_DISABLE_SCHEDULED_EVENTS=1: `off`.
    """
    env = os.environ if environ is None else environ
    given = {name: one for name, variable in _ANCESTORS.get(command, {}).items() for one in _from(env, variable)}
    if (grace := given.get("grace")) and not str(grace.value).strip("0"):
        given["grace"] = Found(NEVER, grace.origin)
    if events := given.pop("scheduled_events", None):
        given |= {"scheduled_events": Found("off", events.origin)} if _is_true(str(events.value)) else {}
    return given


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
    return text.strip().lower() not in ("", "0", "false", "no", "off", "f", "n")


def _from(env: Mapping[str, str], *variables: str) -> Iterator[Found]:
    for variable in variables:
        if value := env.get(variable, "").strip():
            yield Found(value, variable)


def _queues_of(env: Mapping[str, str]) -> Iterator[Found]:
    yield from _from(env, "JOBQ", "JOBQ_STORAGE_QUEUE")
    storage, queue = env.get("JOBQ_STORAGE", ""), env.get("JOBQ_QUEUE", "")
    if storage and queue:
        yield Found(f"{storage}/{queue}", "JOBQ_STORAGE and JOBQ_QUEUE")
    yield from _from(env, "RESTQ_CLIENT_URI")


def _with_realm(queue: Found, realm: str) -> Found:
    """With restq a URL names the server only, `http://host:8586/`, and its realm is `default` where nothing says it."""
    realm = realm or ("default" if queue.origin == "RESTQ_CLIENT_URI" else "")
    server = re.fullmatch(r"(https?://[^/?#]+)(?:/api)?/*", str(queue.value))
    return replace(queue, value=f"{server[1]}/api/{realm}") if server and realm else queue


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return None
