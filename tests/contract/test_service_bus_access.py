"""Who may use a Service Bus queue: tokens of an identity, keys, and what is said to those who have neither."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.servicebus.aio import ServiceBusClient

from jobq.adapters.azure_credential import Identity
from jobq.adapters.service_bus import ServiceBusQueue
from jobq.adapters.service_bus_client import BusClient
from jobq.adapters.service_bus_errors import Namespace
from jobq.adapters.service_bus_stack import ServiceBusStack
from jobq.errors import BadInput, NotAllowed, Unreachable
from tests.azurite import ACCOUNT, KEY, Azurite
from tests.broker import Broker, Refuse

LEASE = timedelta(minutes=5)


class Login:
    """What `az login` gives: a token for the scope that is asked for, or an error."""

    def __init__(self, error: AzureError | None = None) -> None:
        self.error = error
        self.scopes: set[str] = set()

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        self.scopes |= set(scopes)
        if self.error:
            raise self.error
        return AccessToken("a-token", int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Login:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


@asynccontextmanager
async def logged_in(broker: Broker, login: Login) -> AsyncIterator[ServiceBusQueue]:
    """A queue as an identity has it, but for TLS."""
    identity = Identity("Service Bus namespace lab", login)
    sdk = ServiceBusClient(broker.namespace, identity, use_tls=False, retry_total=0)
    queue = ServiceBusQueue(BusClient(Namespace("lab"), sdk), "exp7")
    yield queue
    await queue.close()


async def test_identity_sends_and_receives_with_tokens_for_service_bus(broker: Broker) -> None:
    login = Login()

    async with logged_in(broker, login) as queue:
        await queue.send([b"body"])
        [delivery] = await queue.receive(1, lease=LEASE, wait=timedelta(seconds=5))
        await queue.complete(delivery)

    assert login.scopes == {"https://servicebus.azure.net//.default"}
    assert broker.counts["put-token"] == 2


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            ClientAuthenticationError("no account"),
            NotAllowed,
            r"no Azure identity to reach Service Bus namespace lab.*az login",
        ),
        (ServiceRequestError("no network"), Unreachable, "no token for Service Bus namespace lab: the sign-in service"),
    ],
    ids=["no login", "no sign-in service"],
)
async def test_who_has_no_token_is_told_so_and_not_that_the_bus_refused(
    broker: Broker, error: AzureError, kind: type[Exception], said: str
) -> None:
    async with logged_in(broker, Login(error)) as queue:
        with pytest.raises(kind, match=said):
            await queue.send([b"body"])
        with pytest.raises(kind, match=said):
            await queue.receive(1, lease=LEASE)


@pytest.mark.parametrize(
    ("act", "role"),
    [
        (lambda queue: queue.send([b"body"]), "Azure Service Bus Data Sender"),
        (lambda queue: queue.receive(1, lease=LEASE), "Azure Service Bus Data Receiver"),
    ],
    ids=["send", "receive"],
)
async def test_identity_without_a_role_is_told_which_and_how_to_assign_it(
    broker: Broker, act: Callable[[ServiceBusQueue], object], role: str
) -> None:
    broker.fault("attach", Refuse("amqp:unauthorized-access"), times=9)

    async with logged_in(broker, Login()) as queue:
        with pytest.raises(NotAllowed, match=f'lacks the role {role}.*az role assignment create.*--role "{role}"'):
            await act(queue)  # type: ignore[misc]  # a call of the queue


async def test_wrong_key_is_refused_and_never_shown(broker: Broker) -> None:
    parts = [part for part in broker.connection_string.split(";") if not part.startswith("SharedAccessKey=")]
    queue = ServiceBusQueue(
        BusClient.from_connection_string("lab", ";".join([*parts, "SharedAccessKey=c2VjcmV0"])), "exp7"
    )

    with pytest.raises(NotAllowed, match="the key is wrong or lacks the claim Send") as caught:
        await queue.send([b"body"])

    assert "c2VjcmV0" not in str(caught.value)
    await queue.close()


@pytest.mark.parametrize("text", ["", "secret", "Endpoint=sb://x;SharedAccessKey=secret", f"AccountKey={KEY}"])
def test_string_that_is_no_connection_string_is_bad_input_and_never_shown(text: str) -> None:
    with pytest.raises(BadInput, match="no connection string of a Service Bus namespace") as caught:
        BusClient.from_connection_string("lab", text)

    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)


async def test_stack_by_names_is_addressed_by_them_and_needs_nothing_before_its_first_use() -> None:
    stack = ServiceBusStack.open("lab", "mystorage")

    assert (stack.address, stack.tables) == ("sb://lab", "mystorage")

    await stack.close()


async def test_stack_by_connection_strings_takes_no_identity() -> None:
    storage = Azurite.at(1, 2, 3)
    bus = "Endpoint=sb://127.0.0.1:4;SharedAccessKeyName=x;SharedAccessKey=eQ==;UseDevelopmentEmulator=true"

    stack = ServiceBusStack.open("lab", "any", bus_connection_string=bus, storage_connection_string=storage)

    assert (stack.address, stack.tables) == ("sb://lab", ACCOUNT)
    await stack.close()


@pytest.mark.parametrize(
    ("address", "host", "name"),
    [
        ("mybus", "mybus.servicebus.windows.net", "mybus"),
        ("mybus.servicebus.usgovcloudapi.net", "mybus.servicebus.usgovcloudapi.net", "mybus"),
    ],
)
def test_namespace_is_in_the_public_cloud_unless_its_host_says_otherwise(address: str, host: str, name: str) -> None:
    namespace = Namespace(address)

    assert (namespace.host, namespace.name) == (host, name)
