"""Waiting in tests: poll a condition until it holds, or fail when the deadline has passed."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

PATIENCE = timedelta(seconds=60)
"""Generous: the machine may be busy with other tests. A condition that holds costs no more than its poll."""


async def until(
    condition: Callable[[], object | Awaitable[object]], *, within: timedelta = PATIENCE, poll_seconds: float = 0.02
) -> None:
    """Returns once the condition, plain or async, is true. Fails the test when `within` has passed."""
    deadline = time.monotonic() + within.total_seconds()
    while not await _value(condition):
        assert time.monotonic() < deadline, f"it did not come true within {within}"
        await asyncio.sleep(poll_seconds)


async def _value(condition: Callable[[], object | Awaitable[object]]) -> object:
    value = condition()
    return await value if inspect.isawaitable(value) else value
