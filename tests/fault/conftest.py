"""A realm for real processes, on a folder and on Azurite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Processes
from tests.stacks import PLACES, Place, make_place


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
