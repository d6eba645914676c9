"""A realm for real processes, on a folder, on Azurite, and on Service Bus with short locks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.broker import QueueSpec
from tests.fault.processes import Processes
from tests.service_bus import ANY_QUEUE
from tests.stacks import PLACES, Place, make_place


@pytest.fixture
def queues() -> QueueSpec:
    """Locks as long as the leases that these tests ask for elsewhere."""
    return replace(ANY_QUEUE, lock=timedelta(seconds=4))


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return make_place(request, request.param, tmp_path)


@pytest.fixture
async def realm(place: Place) -> AsyncIterator[Realm]:
    async with place.open() as realm:
        yield realm


@pytest.fixture
def processes(place: Place, tmp_path: Path) -> Iterator[Processes]:
    folder = tmp_path / "processes"
    folder.mkdir()
    processes = Processes(place, folder)
    yield processes
    processes.kill_all()


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Path]:
    """A file; jobs wait while it is there, also those whose worker was killed."""
    file = tmp_path / "hold"
    file.touch()
    yield file
    file.unlink(missing_ok=True)
