"""A worker's post in each realm that it works for: which lanes it takes from, what it runs, the row it is seen by."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from jobq.core.outbox import repair_all
from jobq.core.realm import Realm
from jobq.core.status import is_anything_queued
from jobq.core.together import together
from jobq.errors import NotFound
from jobq.worker.heart import Heart, sweep_now_and_then
from jobq.worker.lanes import Lanes, RealmLanes
from jobq.worker.ticket_run import TicketRunner

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Post:
    realm: Realm
    lanes: RealmLanes
    runner: TicketRunner
    heart: Heart

    async def run(self) -> None:
        """For ever: its row is kept true, and the realm in order. When cancelled, it leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.heart.run())
                group.create_task(sweep_now_and_then(self.realm, self.heart.row.worker))
        finally:
            await self.heart.leave()

    async def is_all_sent(self) -> bool:
        """Whether no step was interrupted whose tickets can be sent now."""
        try:
            return await repair_all(self.realm) == 0
        except NotFound:
            return True

    async def is_queued(self, lanes: Iterable[str]) -> bool:
        return await is_anything_queued(self.realm, [lane for lane in lanes if lane in self.lanes.names])

    async def check_missing(self) -> None:
        """Raises the error of a lane that is missing, where jobs wait in one."""
        if self.lanes.missing and await self.is_queued(self.lanes.missing):
            raise next(iter(self.lanes.missing.values()))


@dataclass(slots=True)
class Posts:
    """A worker's posts, by the names of their realms."""

    make: Callable[[str], Post]
    named: Sequence[str]
    """Realms it was told to work for, the addressed one first."""
    find: Callable[[], Awaitable[Iterable[str]]] | None = None
    """The names of all realms, of a worker for all that there are."""
    lanes: Lanes = field(init=False)
    _by_realm: dict[str, Post] = field(default_factory=dict)
    _looked_at: float = -math.inf
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        for name in dict.fromkeys(self.named):
            self._by_realm[name] = self.make(name)
        self.lanes = Lanes([post.lanes for post in self])

    def __getitem__(self, realm: str) -> Post:
        return self._by_realm[realm]

    def __iter__(self) -> Iterator[Post]:
        return iter([*self._by_realm.values()])

    async def run(self) -> None:
        """For ever: each post's own tasks, for as long as the worker has that post."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for name in tasks.keys() - self._by_realm.keys():
                    tasks.pop(name).cancel()
                for name in self._by_realm.keys() - tasks.keys():
                    tasks[name] = group.create_task(self._by_realm[name].run())
                await self._changed.wait()

    async def look(self, *, after: float = 0.0) -> None:
        """Which realms and lanes there are; not again within `after` seconds."""
        if time.monotonic() - self._looked_at < after:
            return
        if self.find:
            self._keep({*await self.find()})
        await together(post.lanes.look() for post in self)
        self._looked_at = time.monotonic()

    async def is_all_done(self, *, one: bool) -> bool:
        """Whether nothing is queued, with nothing running here; with `one`, whether nothing is on its way to a queue.

        Raises NotFound or NotAllowed where all that is queued waits in lanes that are missing.
        """
        await self.look()
        posts = [post for post in self if not post.lanes.is_closed]
        for post in posts:
            await post.heart.beat()
            if not await post.is_all_sent():
                return False
            if not one and await post.is_queued(post.lanes.present):
                return False
        for post in posts:
            await post.check_missing()
        return True

    def _keep(self, there: set[str]) -> None:
        """A post in each realm that there is, and in none that is gone."""
        for name in sorted(there - self._by_realm.keys()):
            self._by_realm[name] = self.make(name)
            logger.info("also takes jobs from %s", self._by_realm[name].realm.address)
        for name in self._by_realm.keys() - there - {*self.named}:
            post = self._by_realm[name]
            if not post.runner.jobs.attempts and not self.lanes.has_come_from(name):
                del self._by_realm[name]
                logger.info("takes no more jobs from %s: it is gone", post.realm.address)
        self.lanes.realms[:] = [post.lanes for post in self]
        self._changed.set()
