"""The first request of an Azure stack: to an account with nothing in it, with a wrong key, or to nobody."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_errors import Patience
from jobq.core.ports import create
from jobq.errors import NotAllowed, ReplyLost, Unreachable
from tests.azurite import Azurite
from tests.fault_proxy import Say, running_proxy

LEASE = timedelta(seconds=60)
IMPATIENT = Patience(tries=3, budget=timedelta(seconds=3))
CALLS: dict[str, Callable[[AzureStack, str], Awaitable[object]]] = {
    "receive": lambda stack, name: stack.queue(name).receive(1, lease=LEASE),
    "look": lambda stack, name: stack.queue(name).look(1),
    "send": lambda stack, name: stack.queue(name).send([b"hello"]),
    "commit": lambda stack, name: stack.table.commit(name, [create("row", {})]),
    "get": lambda stack, name: stack.table.get(name, "row"),
    "scan": lambda stack, name: stack.table.scan(name, ""),
    "blob": lambda stack, name: stack.blobs.get(name),
}


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:20]}"


async def test_table_queue_and_container_are_made_at_their_first_use(azurite: str, name: str) -> None:
    stack = AzureStack.from_connection_string(azurite, table=name, container=name)

    assert await stack.table.get(name, "row") is None
    assert await stack.table.scan(name, "") == []
    assert (await stack.queue(name).look(0)).messages == 0
    assert await stack.blobs.list("") == []
    await stack.table.commit(name, [create("a", {}), create("b", {})])
    await stack.queue(name).send([b"hello"])
    await stack.blobs.append("log", b"line")

    assert len(await stack.table.scan(name, "")) == 2
    assert (await stack.queue(name).look(0)).messages == 1
    assert await stack.blobs.list("") == ["log"]
    await stack.close()


async def test_service_that_forbids_to_make_the_table_is_not_allowed(azurite_process: Azurite, name: str) -> None:
    async with running_proxy(azurite_process) as proxy:
        stack = AzureStack.from_connection_string(proxy.connection_string, table=name)
        proxy.break_next(Say(403, "AuthorizationPermissionMismatch"), only="/Tables")

        with pytest.raises(NotAllowed, match="make table"):
            await stack.table.commit("p", [create("row", {})])
        await stack.close()


async def test_wrong_key_is_not_allowed_and_is_not_shown(azurite: str, name: str) -> None:
    key = azurite.partition("AccountKey=")[2].partition(";")[0]
    stack = AzureStack.from_connection_string(azurite.replace(key, "d3Jvbmc="), patience=IMPATIENT)

    with pytest.raises(NotAllowed) as caught:
        await stack.queue(name).receive(1, lease=LEASE)
    await stack.close()

    assert "d3Jvbmc" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
async def test_host_that_is_not_there_is_unreachable_and_named(unused_tcp_port: int, name: str, call: str) -> None:
    port = unused_tcp_port
    stack = AzureStack.from_connection_string(Azurite.at(port, port, port), patience=IMPATIENT)

    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}") as caught:
        await CALLS[call](stack, name)
    await stack.close()

    assert not isinstance(caught.value, ReplyLost)
