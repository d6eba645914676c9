"""A directory's files, copied to a target whenever they have changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from jobq.errors import JobqError
from jobq.sync.target import Target
from jobq.sync.tree import Pick, Stamp, below, scan, stamp_of

T = TypeVar("T")

TRIES = 4
FIRST_PAUSE = 1.0
"""Seconds before a pass that failed is repeated; each further pause is twice as long."""


class CopyFailed(Exception):
    """Some file is not where it should be; the message names it and says why."""


@dataclass(slots=True)
class Mirror:
    source: Path
    target: Target
    pick: Pick
    width: int
    """Files that are copied at the same time."""
    deletes: bool = False
    """Files go when they were copied: while the job runs, once they have not changed from one pass to the next."""
    _copied: dict[str, Stamp] = field(default_factory=dict)

    async def copy(self) -> None:
        """One pass while the job runs. Raises CopyFailed, when everything else was copied."""
        files = await asyncio.to_thread(self._wanted)
        if self.deletes:
            await asyncio.to_thread(self._delete_old, files)
        changed = [path for path, stamp in files if self._copied.get(path) != stamp]
        await in_parallel(self._copy, self.source, changed, self.width)

    async def finish(self) -> None:
        """When nobody writes any more: everything, tried several times. Raises CopyFailed."""
        await persistently(self.copy)
        if self.deletes:
            await asyncio.to_thread(self._delete_old, self._wanted())

    def _wanted(self) -> list[tuple[str, Stamp]]:
        try:
            return [(path, stamp) for path, stamp in scan(self.source) if self.pick.wants(path)]
        except OSError as error:
            raise CopyFailed(f"{error.filename}: {error.strerror}") from error

    def _delete_old(self, files: Iterable[tuple[str, Stamp]]) -> None:
        for path, stamp in files:
            if self._copied.get(path) == stamp:
                below(self.source, path).unlink(missing_ok=True)

    async def _copy(self, path: str) -> None:
        file = below(self.source, path)
        before = stamp_of(file)
        if before is None:
            return  # it is gone
        await self.target.put(path, file)
        self._copied[path] = before  # one that has changed meanwhile differs from it, and is copied again


async def in_parallel(copy: Callable[[str], Awaitable[None]], root: Path, paths: Iterable[str], width: int) -> None:
    """Copy all that can be of a directory's files. Raises CopyFailed for the first that cannot; one may have gone."""
    places, problems = asyncio.Semaphore(width), list[str]()

    async def one(path: str) -> None:
        async with places:
            try:
                await copy(path)
            except (OSError, JobqError, ValueError) as error:  # its name may be none for a blob
                if stamp_of(below(root, path)):
                    problems.append(f"{path}: {error}")

    await asyncio.gather(*map(one, paths))
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise CopyFailed(f"{problems[0]}{more}")


async def persistently(run: Callable[[], Awaitable[T]]) -> T:
    pause = FIRST_PAUSE
    for _ in range(TRIES - 1):
        try:
            return await run()
        except CopyFailed:
            await asyncio.sleep(pause)
            pause *= 2
    return await run()
