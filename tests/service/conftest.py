from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobq.adapters.local import MemoryStack
from jobq_service.app import create_app
from jobq_service.realms import Realms
from tests.service.control_plane import ControlPlane


@pytest.fixture
async def service() -> AsyncIterator[ControlPlane]:
    """The control plane of a stack in memory, empty."""
    realms = Realms(MemoryStack)
    plane = ControlPlane(create_app(realms), realms)
    async with plane.http:
        yield plane
    await realms.close()
