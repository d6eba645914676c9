"""Python callables that the tests let workers call."""

from __future__ import annotations

import asyncio
import os


def add(a: int, b: int = 1) -> int:
    print(f"adding {a} and {b}")
    return a + b


async def add_later(a: int, b: int) -> int:
    await asyncio.sleep(0.01)
    return a + b


def fail(text: str) -> None:
    raise ValueError(text)


def who(_job_id: str, _worker_id: str) -> list[str]:
    return [_job_id, _worker_id]


def large(size: int) -> str:
    return "x" * size


def unserializable() -> object:
    return {1, 2}


def spoil() -> None:
    """Leave nonsense where jobq looks for the reason."""
    with open("error.json", "w") as file:  # noqa: PTH123
        file.write('{"reason": "nonsense", "message": "mine"}')
    os._exit(7)


not_a_function = 3
