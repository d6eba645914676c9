"""One request to the HTTP control plane: with its key, retried where that is safe, its errors turned into ours."""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobq.errors import (
    BadInput,
    IllegalTransition,
    JobqError,
    LeaseLost,
    NotAllowed,
    NotFound,
    TooLarge,
    Unreachable,
)
from jobq.model.wire import dumps

if TYPE_CHECKING:
    import requests

GZIP_FROM_BYTES = 1000
MAX_TRIES = 4
"""Besides those that the service refused as too fast."""
PATIENCE_SECONDS = 60.0
"""For all tries of one request and the pauses between them."""

_TIMEOUT = (10, 240)
"""Seconds to connect, and between bytes of the answer: a function app answers within 230."""

_TOO_FAST = 429
_BUSY = frozenset({_TOO_FAST, 503})
"""The service did not take the request up; or it says, in a 503 of its own, that its backend failed meanwhile."""

_BROKEN = frozenset({502, 504})
"""Something between us and the service gave up; the request may have been carried out."""

_ERRORS: Mapping[int, type[JobqError]] = {
    400: BadInput,
    404: NotFound,
    409: IllegalTransition,
    413: TooLarge,
    415: BadInput,
    422: BadInput,
}


@dataclass(slots=True)
class Calls:
    """A session with one service."""

    base_url: str
    key_for: Callable[[str], str]
    """The key for a privilege (enqueue, status, manage, checkout); empty where there is none."""
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    _session: requests.Session | None = field(default=None, repr=False)

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
        again: bool = True,
    ) -> dict[str, Any]:
        """The answer, a JSON object. `again`: the request may be carried out twice without harm."""
        reply = self._answer(method, path, body, query, again)
        try:
            document = reply.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise Unreachable(f"{self.base_url} does not answer as jobq does; is the URL right?")
        return document

    def download(self, path: str, *, query: Mapping[str, object] | None = None) -> bytes:
        return self._answer("GET", path, None, query, True).content

    def upload(self, path: str, data: bytes) -> None:
        """Bytes as they are. They may be stored twice without harm."""
        self._answer("PUT", path, data, None, True, kind="application/octet-stream")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _answer(
        self,
        method: str,
        path: str,
        body: object,
        query: Mapping[str, object] | None,
        again: bool,
        kind: str = "application/json",
    ) -> requests.Response:
        deadline = self.monotonic() + PATIENCE_SECONDS
        headers, data = _encoded(body, kind)
        privilege = path.split("/")[0]
        if key := self.key_for(privilege):
            headers["x-functions-key"] = key
        number = 0
        while True:
            number += 1
            pause = random.uniform(0.5, 1.0) * 0.5 * 2 ** (number - 1)  # noqa: S311  # spreads retries, guards nothing
            try:
                reply = self._send(method, path, headers, data, query)
            except _Lost as lost:
                problem: Unreachable = lost.error
                may_repeat = again or lost.is_unsent
            else:
                if reply.status_code < 300:
                    return reply
                problem, may_repeat, asked_pause = self._retryable(reply, privilege, bool(key), again)
                pause = max(pause, asked_pause)
                if reply.status_code == _TOO_FAST:
                    number -= 1  # others may have taken what it was told to wait for
            if not may_repeat or number == MAX_TRIES or self.monotonic() + pause > deadline:
                raise problem
            self.sleep(pause)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], data: bytes | None, query: Mapping[str, object] | None
    ) -> requests.Response:
        import requests

        if self._session is None:
            self._session = requests.Session()
        params = {name: str(value) for name, value in (query or {}).items() if value not in (None, "")}
        try:
            # A redirect would carry the key to another host.
            return self._session.request(
                method,
                f"{self.base_url}/{path}",
                params=params,
                data=data,
                headers=dict(headers),
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise _Lost(
                self._unreachable(error), isinstance(error, requests.ConnectTimeout) or _is_refused(error)
            ) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self.base_url} does not answer ({cause_of(error)}); is it running, and the URL right?")

    def _retryable(
        self, reply: requests.Response, privilege: str, has_key: bool, again: bool
    ) -> tuple[Unreachable, bool, float]:
        """What to raise if that was the last try, whether one more may be, and the pause asked for.

        Raises what is final.
        """
        detail, status = _detail(reply), reply.status_code
        may_be_done = status in _BROKEN or (status == 503 and bool(detail))
        if status in _BUSY and not may_be_done:
            return self._busy(status, detail), True, _retry_after(reply)
        if may_be_done:
            problem = self._busy(status, detail)
            if not again:
                problem = Unreachable(f"{problem} The request may have been carried out; look with `jobq status`.")
            return problem, again, _retry_after(reply)
        if status == 403 and detail:
            raise NotAllowed(f"{self.base_url} refused: {detail}")
        if status in (401, 403):
            raise NotAllowed(self._refusal(status, privilege, has_key))
        if status in _ERRORS and detail and not (status == 404 and _type(reply) == "about:blank"):
            raise (LeaseLost if _type(reply) == "urn:jobq:lease-lost" else _ERRORS[status])(detail)
        if status == 500:
            raise JobqError(f"{self.base_url} failed (500): {detail or 'see its log'}")
        raise Unreachable(f"{self.base_url} answered {status}, not as jobq does; is the URL right?")

    def _busy(self, status: int, detail: str) -> Unreachable:
        return Unreachable(f"{self.base_url} cannot answer now ({status}): {detail or 'try again later'}.")

    def _refusal(self, status: int, privilege: str, has_key: bool) -> str:
        names = f"JOBQ_KEY or JOBQ_{privilege.upper()}_KEY"
        what = f"the key in {names} is not one for it" if has_key else f"no key was sent: set {names}"
        return f"{self.base_url} refused ({status}) what needs its {privilege!r} key: {what}"


class _Lost(Exception):
    """No answer; `is_unsent` if surely nothing arrived."""

    def __init__(self, error: Unreachable, is_unsent: bool) -> None:
        super().__init__()
        self.error = error
        self.is_unsent = is_unsent


def _encoded(body: object, kind: str) -> tuple[dict[str, str], bytes | None]:
    """Headers and bytes. Bytes, so that a Content-Length goes with them: Functions refuses chunked bodies."""
    headers = {"Accept": "application/json"}
    if body is None:
        return headers, None
    headers["Content-Type"] = kind
    data = body if isinstance(body, bytes) else dumps(body).encode()  # type: ignore[arg-type]  # JSON by our own callers
    if len(data) > GZIP_FROM_BYTES:
        headers["Content-Encoding"] = "gzip"
        data = gzip.compress(data, compresslevel=3, mtime=0)
    return headers, data


def _detail(reply: requests.Response) -> str:
    """What the service says is wrong; empty if the answer is not the service's."""
    if "problem+json" not in reply.headers.get("Content-Type", ""):
        return ""
    try:
        problem = reply.json()
    except ValueError:
        return ""
    text = str(problem.get("detail") or problem.get("title") or "") if isinstance(problem, dict) else ""
    index = problem.get("index") if isinstance(problem, dict) else None
    return f"job {index + 1} of the request: {text}" if isinstance(index, int) else text


def _type(reply: requests.Response) -> str:
    """Of a problem. One without a type of its own is about the URL: the service has nothing there."""
    return str(reply.json().get("type", "about:blank"))


def _retry_after(reply: requests.Response) -> float:
    """Seconds; the form with a date is not used by Azure."""
    try:
        return min(3600.0, max(0.0, float(reply.headers.get("Retry-After", "0"))))
    except ValueError:
        return 0.0


def _is_refused(error: BaseException) -> bool:
    """Whether no connection came about."""
    from urllib3.exceptions import NewConnectionError

    return any(isinstance(cause, NewConnectionError) for cause in _causes(error))


def cause_of(error: BaseException) -> str:
    """The innermost error that says something, without the URL that requests puts in front."""
    said = [getattr(cause, "strerror", None) for cause in _causes(error)]
    return next((str(text) for text in reversed(said) if text), type(error).__name__)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and all that it wraps; requests and urllib3 keep causes in attributes and arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and cause not in found:
            found.append(cause)
            waiting += [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
    return found
