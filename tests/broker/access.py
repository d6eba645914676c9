"""Who may use what: the tokens that a connection has handed in."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from tests.broker.address import path_of
from tests.broker.errors import UNAUTHORIZED, Refused

_SAS = "SharedAccessSignature "


@dataclass(slots=True)
class Claims:
    """The parts of the namespace that a connection may use."""

    _paths: list[str] = field(default_factory=list)

    def add(self, audience: str) -> None:
        self._paths.append(path_of(audience).lower())

    def cover(self, path: str) -> bool:
        """A token for a queue is also good for what is below it; one for the namespace is good for all."""
        return any(_is_below(path.lower(), claimed) for claimed in self._paths)


@dataclass(frozen=True, slots=True)
class Keys:
    """The one shared access key of the namespace, and whether tokens of other kinds are taken unseen."""

    name: str = "RootManageSharedAccessKey"
    key: str = "c2VjcmV0IG9mIG5vYm9keQ=="
    accepts_any_token: bool = True

    def check(self, token: object, audience: str) -> None:
        """Raises Refused. When a token ends is not looked at: the clock of a test may run ahead of the client's."""
        if not isinstance(token, str) or not token:
            raise Refused(UNAUTHORIZED, "a token is missing")
        if token.startswith(_SAS):
            self._check_signature(token, audience)
        elif not self.accepts_any_token:
            raise Refused(UNAUTHORIZED, "only shared access signatures are accepted")

    def _check_signature(self, token: str, audience: str) -> None:
        parts = dict(part.partition("=")[::2] for part in token.removeprefix(_SAS).split("&"))
        signed = f"{parts.get('sr', '')}\n{parts.get('se', '')}".encode()
        digest = base64.b64encode(hmac.digest(self.key.encode(), signed, hashlib.sha256)).decode()
        if parts.get("skn") != self.name or not hmac.compare_digest(unquote_plus(parts.get("sig", "")), digest):
            raise Refused(UNAUTHORIZED, "InvalidSignature: The token has an invalid signature.")
        if not _is_below(path_of(audience).lower(), path_of(unquote_plus(parts["sr"])).lower()):
            raise Refused(UNAUTHORIZED, f"InvalidAudience: The token is not for {audience}.")


def _is_below(path: str, top: str) -> bool:
    return not top or path == top or path.startswith(f"{top}/")
