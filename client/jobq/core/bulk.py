"""One command for many jobs: by their ids, or by a filter, for as long as a caller waits.

Each job is changed by itself. So a command that is cut off has done a part, and whoever repeats it does the rest: what
is done already is no longer in a state that the command is about, or is left as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jobq.core.listing import ANY, Filter, list_jobs, sliced
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.errors import BadInput, IllegalTransition, NotFound
from jobq.model.job import Job, JobState

AT_ONCE = 64
"""Jobs changed at the same time; their commits go out together, shard by shard."""

PART = 250
"""Jobs changed between two looks at the clock."""

MAX_REFUSED = 100
"""Refusals that an answer lists."""

Act = Callable[[str], Awaitable[Job | None]]
"""What is done to a job, by its id."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The jobs a command is about: ids, or all that match a filter. Never neither."""

    ids: tuple[str, ...] = ()
    where: Filter | None = None
    after: str = ""
    """Of those that match, only the ones after this, the `next` of an answer."""

    def with_default(self, **fields: Any) -> Selection:
        """Its filter with what is not given there."""
        if self.where is None:
            return self
        more = {name: value for name, value in fields.items() if not getattr(self.where, name)}
        return replace(self, where=replace(self.where, **more))


@dataclass(slots=True)
class Done:
    """What became of the jobs so far."""

    act: Act
    matched: int = 0
    changed: int = 0
    refused: list[dict[str, str]] = field(default_factory=list)

    async def add(self, ids: Sequence[str]) -> None:
        for part in sliced(ids, AT_ONCE):
            for job_id, error in zip(part, await together(map(self._one, part)), strict=True):
                self.matched += 1
                self.changed += not error
                if error and len(self.refused) < MAX_REFUSED:
                    self.refused.append({"id": job_id, "error": error})

    async def _one(self, job_id: str) -> str:
        try:
            await self.act(job_id)
        except (IllegalTransition, NotFound) as error:
            return str(error)
        return ""

    def as_json(self, after: str = "") -> dict[str, Any]:
        return {"matched": self.matched, "changed": self.changed, "refused": self.refused, "next": after or None}


async def change_each(
    realm: Realm, chosen: Selection, states: Sequence[JobState], act: Act, *, seconds: float | None = None
) -> dict[str, Any]:
    """`matched, changed, refused` (at most MAX_REFUSED of `id, error`), `next` (go on `after` it; null at the end).

    Unless the filter asks for another state, only jobs whose rows are in one of `states` (none given: any) match: the
    command passes over the others. With a filter it works for about `seconds`, and does at least a little.
    """
    done = Done(act)
    if chosen.where is None:
        if not chosen.ids:
            raise BadInput("say which jobs: ids, a tag, a batch or a state")
        await done.add(list(dict.fromkeys(chosen.ids)))
        return done.as_json()
    # All states in one pass: a job that goes from one to another between two passes would be in neither.
    among = frozenset(states) if states and chosen.where.state in (None, *states) else ANY
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    after = chosen.after
    while True:
        page = await list_jobs(realm, chosen.where, after=after, limit=PART, among=among)
        await done.add([job.id for job in page.jobs])
        after = page.next
        if not after or time.monotonic() >= deadline:
            return done.as_json(after)
