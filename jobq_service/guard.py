"""Who may ask, where no Functions host decides it: on loopback this machine's own programs, elsewhere who has a key.

A web page that somebody on this machine visits must not get at a server that asks for no key: neither by a request
across sites (it shows in Origin, Sec-Fetch-Site, or a form's content type) nor by a name of its own that it lets
resolve to 127.0.0.1 (it shows in Host).
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jobq.errors import BadInput
from jobq.settings import PRIVILEGES
from jobq_service.bodies import BYTES, JSON, NDJSON
from jobq_service.dashboard import is_dashboard
from jobq_service.problems import problem

KEY_HEADER = "x-functions-key"
MIN_KEY_CHARS = 16
OPEN_PATHS = frozenset({"/api/health"})

_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Guard:
    """What is asked of a request: `hosts` (no others, when given) and `keys` by privilege (when given)."""

    hosts: frozenset[str] = frozenset()
    """Values of Host, with the port, in lower case."""
    keys: Mapping[str, str] | None = None

    def refusal(self, method: str, path: str, headers: Headers) -> Response | None:
        """The answer for a request that may not pass, or None."""
        return self._foreign(method, headers) or self._without_key(path, headers)

    def _foreign(self, method: str, headers: Headers) -> Response | None:
        if not self.hosts:
            return None
        host = headers.get("host", "").lower()
        if host not in self.hosts:
            return problem(403, "this control plane answers on loopback names only; Host has another name")
        if headers.get("origin", f"http://{host}").lower() != f"http://{host}":
            return problem(403, "a page of another origin asks; this control plane answers its own pages only")
        if method in _SAFE_METHODS:
            return None  # its answer cannot be read across origins, and it changes nothing
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return problem(403, "a page of another site asks; this control plane answers its own pages only")
        return _bad_type(headers)

    def _without_key(self, path: str, headers: Headers) -> Response | None:
        if self.keys is None or path in OPEN_PATHS or is_dashboard(path):
            return None
        wanted = self.keys.get(privilege_of(path), "")
        if wanted and _is_same(headers.get(KEY_HEADER, ""), wanted):
            return None
        return problem(
            401,
            f"send the key for {privilege_of(path)} in the header {KEY_HEADER}",
            headers={"www-authenticate": f"ApiKey header={KEY_HEADER}"},
        )


class Guarded:
    """An app behind a guard."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app = app
        self.guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self.guard.refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send)


def guard_for(host: str, address: str, port: int, keys: str) -> Guard:
    """What a server asks for that is bound to `address`, which was given as `host`.

    Raises BadInput for one that would be open to others.
    """
    parsed = parse_keys(keys) if keys else None
    if is_loopback(address):
        names = {"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host.lower()}
        at_port = frozenset(f"{name}:{port}" for name in names)
        return Guard(hosts=at_port | names if port == 80 else at_port, keys=parsed)
    if parsed is None:
        raise BadInput(
            f"{host} can be reached from other machines, so the control plane needs keys there: set JOBQ_SERVE_KEYS to "
            "'enqueue=…,status=…,manage=…,checkout=…' or to one key for all, each key of "
            f"{MIN_KEY_CHARS} characters or more; or serve on 127.0.0.1"
        )
    return Guard(keys=parsed)


def parse_keys(text: str) -> dict[str, str]:
    """By privilege; one that is not named has no key, and is closed. Raises BadInput, without the keys."""
    if any(text.startswith(f"{privilege}=") for privilege in PRIVILEGES):
        pairs = [part.strip().partition("=") for part in text.split(",")]
        keys = {name: key for name, _, key in pairs}
    else:
        keys = dict.fromkeys(PRIVILEGES, text.strip())
    if unknown := keys.keys() - set(PRIVILEGES):
        raise BadInput(f"JOBQ_SERVE_KEYS names {len(unknown)} that are not among {', '.join(PRIVILEGES)}")
    if any(len(key) < MIN_KEY_CHARS or not key.isascii() for key in keys.values()):
        raise BadInput(f"JOBQ_SERVE_KEYS has a key of under {MIN_KEY_CHARS} characters, or not in ASCII")
    return keys


def privilege_of(path: str) -> str:
    """What a path needs. All that is no function's needs `status`, so nothing is open by oversight."""
    name = path.removeprefix("/api/").split("/", 1)[0]
    return name if path.startswith("/api/") and name in PRIVILEGES else "status"


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _bad_type(headers: Headers) -> Response | None:
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    given = headers.get("content-type")
    if given is None and not has_body:
        return None
    if (given or "").partition(";")[0].strip().lower() in (JSON, NDJSON, BYTES):
        return None
    return problem(
        415,
        f"send a body as {JSON} or {NDJSON}, a file as {BYTES} (header Content-Type)",
        headers={"accept": f"{JSON}, {NDJSON}, {BYTES}"},
    )


def _is_same(given: str, wanted: str) -> bool:
    """Compared by hash, in constant time: neither content nor length of the key shows in the time taken."""
    return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(wanted.encode()).digest())
