"""What tests share: one Azurite a process (so one for each xdist worker), and for each test that asks a broker."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.azurite import Azurite, AzuriteMissing, running_azurite
from tests.broker import Broker, QueueSpec
from tests.service_bus import ANY_QUEUE

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background, as all that it starts would be
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def azurite_process() -> Iterator[Azurite]:
    """A running Azurite on disk. Missing: a skip at home, an error in CI."""
    try:
        with running_azurite() as azurite:
            yield azurite
    except AzuriteMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def azurite(azurite_process: Azurite) -> str:
    """The connection string of this process's Azurite."""
    return azurite_process.connection_string


@pytest.fixture
def queues() -> QueueSpec:
    """What the broker's queues are like; tests override it."""
    return ANY_QUEUE


@pytest.fixture
async def broker(queues: QueueSpec) -> AsyncIterator[Broker]:
    """A Service Bus broker of the test's own, whose queues are there when asked for. Nobody may break its protocol."""
    async with Broker(template=queues) as broker:
        yield broker
    assert broker.violations == []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to Azurite: a fixture of it needs the process, or one of its parameters is called so."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        parameters = callspec.id.split("-") if callspec else []
        if "azurite_process" in getattr(item, "fixturenames", ()) or "azurite" in parameters:
            item.add_marker(pytest.mark.azurite)
