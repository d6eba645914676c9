"""Waiting until jobs have ended: by asking, often at first and every two seconds later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from jobq.errors import NotFound, TimedOut

if TYPE_CHECKING:
    from jobq.backend import Backend
    from jobq.core.documents import Document

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is waited for: jobs by id, a batch, a tag; nothing given is the whole realm."""

    ids: tuple[str, ...] = ()
    batch: str = ""
    tag: str = ""

    def __str__(self) -> str:
        if self.ids:
            return f"job {self.ids[0]}" if len(self.ids) == 1 else f"{len(self.ids)} jobs"
        return f"batch {self.batch}" if self.batch else f"tag {self.tag!r}" if self.tag else "the realm"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the target is."""

    total: int = 0
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def remaining(self) -> int:
        return self.total - self.succeeded - self.failed - self.cancelled

    def as_json(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


def wait_for(
    backend: Backend,
    target: Target,
    *,
    timeout: timedelta | None = None,
    on_look: Callable[[Standing], None] = lambda _standing: None,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Standing:
    """How the target stands when nothing of it remains. Raises TimedOut; NotFound for what was never pushed.

    What is removed meanwhile is not waited for.
    """
    deadline = None if timeout is None else monotonic() + timeout.total_seconds()
    look, pause = _Look(backend, target), FIRST_PAUSE
    while True:
        standing = look()
        on_look(standing)
        if not standing.remaining:
            return standing
        left = LONGEST_PAUSE if deadline is None else deadline - monotonic()
        if left <= 0:
            raise TimedOut(f"{standing.remaining:,} of {standing.total:,} jobs of {target} have not ended in time")
        sleep(min(pause, left))
        pause = min(LONGEST_PAUSE, pause * 1.5)


class _Look:
    """One look at the target after the other; jobs by id are asked for until each has ended."""

    def __init__(self, backend: Backend, target: Target) -> None:
        self._backend = backend
        self._target = target
        self._is_known = False
        self._ended: dict[str, str] = {}
        self._open = list(target.ids)

    def __call__(self) -> Standing:
        if self._target.ids:
            return self._by_ids()
        try:
            document = self._counts()
        except NotFound:
            if not self._is_known:
                raise
            return Standing()  # all of it was removed
        self._is_known = True
        return Standing(**{name: document[name] for name in Standing.__slots__})

    def _counts(self) -> Document:
        if self._target.batch:
            return self._backend.batch_status(self._target.batch)
        return self._backend.tag_status(self._target.tag) if self._target.tag else self._backend.total()

    def _by_ids(self) -> Standing:
        """All at the first look; later up to the first that has not ended, which is what everything waits for."""
        states: dict[str, str] = {}
        for job_id in list(self._open):
            try:
                state = str(self._backend.job(job_id)["state"])
            except NotFound:
                if not self._is_known:
                    raise
                state = "removed"
            if state in ("queued", "running"):
                states[job_id] = state
                if self._is_known:
                    break
            else:
                self._ended[job_id] = state
                self._open.remove(job_id)
        self._is_known = True
        return self._standing(states)

    def _standing(self, states: dict[str, str]) -> Standing:
        ended = [state for state in self._ended.values() if state != "removed"]
        running = sum(state == "running" for state in states.values())
        return Standing(
            total=len(ended) + len(self._open),
            queued=len(self._open) - running,
            running=running,
            succeeded=ended.count("succeeded"),
            failed=ended.count("failed"),
            cancelled=ended.count("cancelled"),
        )
