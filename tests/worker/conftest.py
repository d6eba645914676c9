"""A realm on a folder, and on Azurite where a test asks for both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.worker.directory import JobDirectory
from jobq.worker.supervision import Supervision
from tests.stacks import Place, make_place


@pytest.fixture(params=["local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Parametrize with `indirect` for both."""
    return make_place(request, request.param, tmp_path)


@pytest.fixture
async def directory() -> AsyncIterator[JobDirectory]:
    directory = JobDirectory.make()
    yield directory
    await directory.remove()


@pytest.fixture
async def supervision() -> AsyncIterator[Supervision]:
    supervision = Supervision()
    yield supervision
    await supervision.close()


@pytest.fixture
async def realm(place: Place) -> AsyncIterator[Realm]:
    async with place.open() as realm:
        yield realm
