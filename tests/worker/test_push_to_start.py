"""From a push to the start of its job, with a worker waiting: what people notice first."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.until import until
from tests.worker.running import push, working

PUSHES = 9
GENEROSITY = 3
"""The machine may be busy with other tests."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "seconds"), [("local", 0.2), ("azurite", 0.5), ("servicebus", 0.2)], indirect=["place"]
)
async def test_waiting_worker_starts_what_is_pushed_soon(realm: Realm, seconds: float, tmp_path: Path) -> None:
    # Given a worker that waits, and pushes at odd moments
    waited = []
    async with working(realm):
        for n in range(PUSHES):
            started = tmp_path / f"{n}"
            await asyncio.sleep(0.7 + 0.137 * (n % 4))  # until the worker has seen that there is nothing more
            pushed_at = time.time()
            await push(realm, f"date +%s.%N > {started}.tmp; mv {started}.tmp {started}", batch=f"n{n}")
            await until(started.exists)
            waited.append(float(started.read_text()) - pushed_at)

    # Then
    print(f"push to start: median {statistics.median(waited):.3f} s, longest {max(waited):.3f} s")
    assert statistics.median(waited) <= seconds * GENEROSITY
