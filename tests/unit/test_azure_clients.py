"""What the SDK clients are given, and what becomes of their identity's troubles; nothing leaves this process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_errors import Answer, Call, Patience, outcome_of
from jobq.adapters.azure_pipeline import _pipeline_of
from jobq.adapters.azure_transport import SharedTransport
from jobq.errors import BadInput, NotAllowed, ReplyLost, Unreachable

CHALLENGE = (
    "Bearer authorization_uri=https://login.microsoftonline.com/its-tenant/oauth2/authorize "
    "resource_id=https://storage.azure.com"
)
SIGNED = ";".join(
    f"{service}Endpoint=https://acme.{service.lower()}.core.windows.net/" for service in ("Blob", "Queue", "Table")
)


class FakeCredential:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.tenants: list[str | None] = []

    async def get_token(self, *scopes: str, tenant_id: str | None = None, **_: Any) -> AccessToken:
        self.tenants.append(tenant_id)
        if self.error:
            raise self.error
        return AccessToken(f"token of {tenant_id}", 2**33)

    async def close(self) -> None: ...

    async def __aenter__(self) -> FakeCredential:
        return self

    async def __aexit__(self, *_: object) -> None: ...


class FakeService:
    """Challenges the first request and accepts the next ones."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, request: Any, **_: Any) -> Any:
        self.sent.append(request)
        status = 401 if len(self.sent) == 1 and "Authorization" in request.headers else 201
        headers = {"WWW-Authenticate": CHALLENGE}

        async def read() -> bytes:
            return b""

        return SimpleNamespace(status_code=status, headers=headers, content=b"", read=read, request=request)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FakeService:
    service = FakeService()

    async def send(_: SharedTransport, request: Any, **options: Any) -> Any:
        return await service.send(request, **options)

    monkeypatch.setattr(SharedTransport, "send", send)
    return service


async def test_token_of_the_tenant_the_account_is_in_is_asked_for_when_the_service_says_so(
    service: FakeService,
) -> None:
    credential = FakeCredential()

    await AzureStack.from_account("acme", credential).queue("demo").send([b"hello"])

    assert credential.tenants[-1] == "its-tenant"
    assert service.sent[-1].headers["Authorization"] == "Bearer token of its-tenant"
    assert service.sent[-1].url.startswith("https://acme.queue.core.windows.net/demo/messages?")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ClientAuthenticationError("secret detail"), NotAllowed, r"acme.*az login"),
        (ServiceRequestError("secret detail"), Unreachable, "sign-in service"),
    ],
    ids=["not signed in", "nobody to sign in with"],
)
async def test_caller_without_a_token_is_told_how_to_get_one_and_nothing_is_sent(
    service: FakeService, error: Exception, kind: type[Exception], text: str
) -> None:
    stack = AzureStack.from_account("acme", FakeCredential(error))

    with pytest.raises(kind, match=text) as caught:
        await stack.queue("demo").send([b"hello"])
    with pytest.raises(kind, match=text):
        await stack.table.get("p", "row")
    with pytest.raises(kind, match=text):
        await stack.blobs.get("log")

    assert service.sent == []
    assert not isinstance(caught.value, ReplyLost)
    assert "secret" not in str(caught.value)


async def test_message_carries_the_signature_of_its_connection_string(service: FakeService) -> None:
    stack = AzureStack.from_connection_string(f"{SIGNED};SharedAccessSignature=sv=2024-01-01&sig=c2VjcmV0")

    await stack.queue("demo").send([b"hello"])

    assert service.sent[0].url.endswith("messagettl=-1&sv=2024-01-01&sig=c2VjcmV0")


async def test_stack_closes_what_it_opened_itself_even_if_it_was_never_used() -> None:
    stack = AzureStack.from_account("acme")

    await stack.close()

    assert stack.address == "acme"


@pytest.mark.parametrize("text", ["UseDevelopmentStorage=true", "usedevelopmentstorage=True; "])
def test_development_storage_is_azurite_on_its_own_ports(text: str) -> None:
    account = AzureClients.from_connection_string(text, Patience()).account

    assert account.name == "devstoreaccount1"
    assert (account.blob, account.queue, account.table) == ("127.0.0.1:10000", "127.0.0.1:10001", "127.0.0.1:10002")


def test_connection_string_with_a_signature_needs_no_account_name() -> None:
    account = AzureClients.from_connection_string(f"{SIGNED};SharedAccessSignature=sig=c2VjcmV0", Patience()).account

    assert account.address == "acme"
    assert account.queue == "acme.queue.core.windows.net"
    assert account.has_key
    assert "c2VjcmV0" not in repr(account)


def test_connection_string_knows_its_cloud() -> None:
    text = "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=a2V5;EndpointSuffix=core.chinacloudapi.cn"

    assert AzureClients.from_connection_string(text, Patience()).account.blob == "acme.blob.core.chinacloudapi.cn"


@pytest.mark.parametrize("text", ["", "AccountName", "AccountName=acme", "AccountKey=c2VjcmV0"])
def test_broken_connection_string_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        AzureClients.from_connection_string(text, Patience())

    assert "c2VjcmV0" not in str(caught.value)


def test_key_that_cannot_sign_is_a_refusal() -> None:
    assert outcome_of(ClientAuthenticationError("Incorrect padding")) == Answer(401, {})


async def test_call_is_refused_at_once_when_the_key_cannot_sign() -> None:
    async def sign() -> None:
        raise ClientAuthenticationError("Incorrect padding")

    clients = AzureClients.from_connection_string("UseDevelopmentStorage=true", Patience())

    with pytest.raises(NotAllowed, match="the key or signature is wrong"):
        await clients.run(Call("queue", "count the messages of queue demo", is_read=True), sign)
    await clients.close()


@pytest.mark.parametrize("service", [TableServiceClient, QueueServiceClient])
def test_installed_sdk_has_the_pipeline_that_requests_are_sent_through(service: Any) -> None:
    client = service.from_connection_string("UseDevelopmentStorage=true")
    inner = client.get_table_client("jobq") if service is TableServiceClient else client.get_queue_client("jobq")

    assert callable(_pipeline_of(inner).send_request)


def test_sdk_without_that_pipeline_is_named() -> None:
    client = TableServiceClient.from_connection_string("UseDevelopmentStorage=true").get_table_client("jobq")
    del client.__dict__["_client"]

    with pytest.raises(TypeError, match=r"azure-data-tables \d+\.\d+\.\d+ no longer has TableClient\._client\._client"):
        _pipeline_of(client)
