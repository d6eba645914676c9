"""Trials on a storage account: as an identity that lacks a role, and with nothing left behind. Real requests."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_errors import Patience
from jobq.adapters.azure_probe import AzureProbe
from jobq.doctor.azure import examine_account
from jobq.doctor.check import Checkup
from jobq.doctor.probes import new_body, try_blobs, try_table
from jobq.errors import NotAllowed
from tests.azurite import Azurite
from tests.fault_proxy import FaultProxy, Say, running_proxy

REFUSED = Say(403, "AuthorizationPermissionMismatch")


class Login:
    """What `az login` gives: a token, or an error."""

    def __init__(self, error: AzureError | None = None) -> None:
        self.error = error

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        if self.error:
            raise self.error
        claims = {"upn": "ada@lab.example", "oid": "0b1e", "tid": "7e4a", "scp": "user_impersonation"}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return AccessToken(f"e30.{body}.c2lnbmF0dXJl", int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Login:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()


@pytest.fixture
async def proxy(azurite_process: Azurite) -> AsyncIterator[FaultProxy]:
    async with running_proxy(azurite_process) as proxy:
        yield proxy


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:20]}"


@pytest.fixture
async def probe(proxy: FaultProxy, name: str) -> AsyncIterator[AzureProbe]:
    """Of an account where the table, the container and the queue of that name are not there yet."""
    clients = AzureClients.from_connection_string(proxy.connection_string, Patience(tries=1))
    yield AzureProbe(clients, name, name)
    await clients.close()


async def what_is_there(probe: AzureProbe) -> set[str]:
    clients = probe.clients
    return {
        *[table.name async for table in clients.tables.list_tables()],
        *[str(queue.name) async for queue in clients.queues.list_queues()],
        *[str(container.name) async for container in clients.blobs.list_containers()],
    }


async def try_all(probe: AzureProbe, name: str) -> None:
    async with probe.table() as table:
        await try_table(table)
    async with probe.blobs() as blobs:
        await try_blobs(blobs)
    await probe.queue(name, new_body())


async def test_what_is_not_there_is_not_made_and_nothing_else_stays(probe: AzureProbe, name: str) -> None:
    before = await what_is_there(probe)

    await try_all(probe, name)

    assert await what_is_there(probe) == before


async def test_what_is_there_is_used_and_stays_without_anything_new(probe: AzureProbe, name: str) -> None:
    clients = probe.clients
    await clients.tables.create_table(name)
    await clients.queues.create_queue(name)
    container = await clients.blobs.create_container(name)
    before = await what_is_there(probe)

    await try_all(probe, name)

    assert await what_is_there(probe) == before
    assert [row async for row in clients.tables.get_table_client(name).list_entities()] == []
    assert [blob async for blob in container.list_blob_names()] == []
    assert (await clients.queues.get_queue_client(name).get_queue_properties()).approximate_message_count == 0


@pytest.mark.parametrize(
    "request_line", ["PATCH /", "GET /devstoreaccount1/doctor", "appendblock", "comp=list", "/messages/", "peekonly"]
)
async def test_a_trial_that_is_refused_half_way_leaves_nothing(
    proxy: FaultProxy, probe: AzureProbe, name: str, request_line: str
) -> None:
    before = await what_is_there(probe)
    proxy.break_next(REFUSED, only=request_line)

    for attempt in (probe.table, probe.blobs):
        with suppress(NotAllowed):
            async with attempt() as place:
                await (try_table if attempt == probe.table else try_blobs)(place)  # type: ignore[arg-type]  # each its own
    with suppress(NotAllowed):
        await probe.queue(name, new_body())

    assert proxy.faults == []
    assert await what_is_there(probe) == before


@pytest.mark.parametrize(
    ("error", "code"), [(ClientAuthenticationError("no account"), 4), (ServiceRequestError("no network"), 9)]
)
async def test_nothing_is_tried_as_nobody(probe: AzureProbe, error: AzureError, code: int) -> None:
    checkup = Checkup()

    assert not await examine_account(replace(probe, credential=Login(error)), checkup)

    assert (checkup.checks[-1].name, checkup.checks[-1].exit_code) == ("login", code)


async def test_who_lacks_a_role_is_named_in_the_command_that_assigns_it(proxy: FaultProxy, probe: AzureProbe) -> None:
    clients = probe.clients
    clients.account = replace(clients.account, has_key=False)
    checkup = Checkup()
    proxy.break_next(REFUSED, only="PartitionKey")

    assert await examine_account(replace(probe, credential=Login()), checkup)

    found = {check.name: check for check in checkup.checks}
    assert found["login"].detail == "User ada@lab.example (object 0b1e, tenant 7e4a)"
    assert found["blob"].state == "ok"
    assert (found["table"].state, found["table"].exit_code) == ("failed", 4)
    assert found["table"].fix == (
        "az role assignment create --assignee-object-id 0b1e --assignee-principal-type User "
        '--role "Storage Table Data Contributor" '
        "--scope $(az storage account show --name devstoreaccount1 --query id --output tsv)"
    )
    assert found["table"].fix in found["table"].detail
