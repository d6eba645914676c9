"""`$cbs`: where a connection says who it is."""

from __future__ import annotations

from collections import Counter

from tests.broker.access import Claims, Keys
from tests.broker.address import CBS
from tests.broker.envelope import CBS_WORDS, Reply, Request
from tests.broker.errors import NOT_IMPLEMENTED, AmqpError, Refused

_UNAUTHORIZED = 401


class TokenDesk:
    """Takes tokens in. Source: "AMQP 1.0 in Azure Service Bus protocol guide", claims-based authorization."""

    place = CBS
    queue = ""
    words = CBS_WORDS

    def __init__(self, keys: Keys, claims: Claims, counts: Counter[str]) -> None:
        self._keys = keys
        self._claims = claims
        self._counts = counts

    def operation(self, request: Request) -> str:
        return "put-token" if request.properties.get("operation") == "put-token" else ""

    def carry_out(self, request: Request) -> Reply:
        if not self.operation(request):
            raise Refused(NOT_IMPLEMENTED, f"$cbs knows no operation {request.properties.get('operation')!r}")
        self._counts["put-token"] += 1
        audience = str(request.properties.get("name", ""))
        self._keys.check(request.body, audience)
        self._claims.add(audience)
        return Reply(202, "Accepted")

    def refusal(self, error: AmqpError) -> Reply:
        return Reply(_UNAUTHORIZED, error.description, error.condition)
