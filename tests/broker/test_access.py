"""Who is let in: keys, tokens, and what a refusal looks like to the SDK, which drops its text."""

from __future__ import annotations

import base64
import hmac
import time
from urllib.parse import quote_plus

import pytest
from azure.core.credentials import AccessToken
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthenticationError, ServiceBusAuthorizationError

from tests.broker import Broker, Refuse
from tests.broker.access import Claims, Keys
from tests.broker.errors import Refused
from tests.broker.sdk import WAIT_SECONDS, connected


class Credential:
    """An identity whose tokens the broker cannot read."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: object) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self._token, int(time.time()) + 3600)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Credential:
        return self

    async def __aexit__(self, *_: object) -> None: ...


async def send_with(client: ServiceBusClient) -> None:
    async with client, client.get_queue_sender("q") as sender:
        await sender.send_messages(ServiceBusMessage("x"))


async def test_wrong_key_is_not_let_in(broker: Broker) -> None:
    wrong = broker.connection_string.replace("SharedAccessKey=", "SharedAccessKey=wrong")

    with pytest.raises(ServiceBusAuthenticationError):
        await send_with(ServiceBusClient.from_connection_string(wrong, retry_total=0))


async def test_token_of_an_identity_is_let_in(broker: Broker) -> None:
    credential = Credential("a token")

    await send_with(ServiceBusClient(broker.namespace, credential, use_tls=False))

    assert credential.scopes == ["https://servicebus.azure.net//.default"]
    assert broker.queue("q").active_count == 1


async def test_refused_token_is_an_authentication_error(broker: Broker) -> None:
    broker.fault("put-token", Refuse("amqp:unauthorized-access", "not today"))

    async with connected(broker, retry_total=0) as client:
        with pytest.raises(ServiceBusAuthenticationError):
            await client.get_queue_receiver("q").receive_messages(max_wait_time=WAIT_SECONDS)


async def test_identity_without_rights_on_the_queue_is_not_authorized(broker: Broker) -> None:
    broker.fault("attach", Refuse("amqp:unauthorized-access", "Listen claims are required"))

    async with connected(broker, retry_total=0) as client:
        with pytest.raises(ServiceBusAuthorizationError, match="Listen claims"):
            await client.get_queue_receiver("q").receive_messages(max_wait_time=WAIT_SECONDS)


def signed(keys: Keys, uri: str) -> str:
    """What the SDK makes of a connection string."""
    signature = quote_plus(
        base64.b64encode(hmac.digest(keys.key.encode(), f"{quote_plus(uri)}\n99".encode(), "sha256"))
    )
    return f"SharedAccessSignature sr={quote_plus(uri)}&sig={signature}&se=99&skn={keys.name}"


QUEUE = "sb://127.0.0.1:1/q"


@pytest.mark.parametrize("uri", [QUEUE, "sb://127.0.0.1:1/"])
def test_signature_of_the_right_key_is_taken(uri: str) -> None:
    Keys(accepts_any_token=False).check(signed(Keys(), uri), QUEUE)


@pytest.mark.parametrize(
    "token",
    [
        signed(Keys(key="wrong"), QUEUE),
        signed(Keys(name="wrong"), QUEUE),
        signed(Keys(), "sb://127.0.0.1:1/another"),
        signed(Keys(), QUEUE).replace("se=99", "se=100"),
        "SharedAccessSignature ",
        "a token of another kind",
        "",
        None,
    ],
)
def test_token_that_proves_nothing_is_refused(token: str | None) -> None:
    with pytest.raises(Refused):
        Keys(accepts_any_token=False).check(token, QUEUE)


@pytest.mark.parametrize(
    ("audience", "path", "is_covered"),
    [
        ("sb://127.0.0.1:1/q", "q", True),
        ("sb://127.0.0.1:1/Q", "q/$DeadLetterQueue", True),
        ("sb://127.0.0.1:1/", "q", True),
        ("sb://127.0.0.1:1/q", "q2", False),
        ("sb://127.0.0.1:1/q/$DeadLetterQueue", "q", False),
    ],
)
def test_token_covers_what_is_below_its_audience(audience: str, path: str, is_covered: bool) -> None:
    claims = Claims()

    claims.add(audience)

    assert claims.cover(path) is is_covered
