"""Bulk commands across realms: realm by realm, side by side, and answered entry by entry in the order given."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from jobq.core import operate
from jobq.core.api import RealmApi
from jobq.core.documents import Document
from jobq.core.together import together
from jobq.errors import BadInput, IllegalTransition, NotFound
from jobq.model.job import NewJob, PushStatus
from jobq_service.realms import Realms
from jobq_service.schemas import Removed
from jobq_service.submissions import Options, Submission, check_realms

AT_ONCE = 64
"""Jobs removed at the same time."""

REFUSALS = (BadInput, IllegalTransition, NotFound)
"""What is the fault of one entry, or of one realm, and says nothing of the others."""


async def push_jobs(api: RealmApi, jobs: Sequence[NewJob], options: Options) -> list[Document]:
    """As `RealmApi.push`."""
    return await api.push(
        jobs, batch=options.batch, if_exists=options.if_exists, chunk=options.chunk, token=options.token
    )


async def push_across(realms: Realms, asked: Submission) -> list[Document]:
    """As `RealmApi.push` answers, with `realm`. The jobs of a realm that refuses them all have the state None."""
    results: list[Document] = [{}] * len(asked.jobs)

    async def push(name: str, places: Sequence[int]) -> None:
        answers = await _push(realms.api(name), asked, places)
        for place, answer in zip(places, answers, strict=True):
            results[place] = {"realm": name, **answer}

    await together(push(name, places) for name, places in _grouped(asked.realms).items())
    return results


async def remove_across(realms: Realms, entries: Sequence[tuple[str, str]]) -> list[Document]:
    """`realm, id, status (removed | asked | refused), error` of each realm and id. Raises TooLarge."""
    check_realms(name for name, _ in entries)
    gate = asyncio.Semaphore(AT_ONCE)

    async def remove(name: str, job_id: str) -> Document:
        answer = {"realm": name, "id": job_id}
        async with gate:
            try:
                left = await operate.remove(realms.realm(name), job_id)
            except REFUSALS as error:
                return answer | {"status": Removed.REFUSED.value, "error": str(error)}
        return answer | {"status": (Removed.ASKED if left else Removed.REMOVED).value}

    unique = dict.fromkeys(entries)
    answers = dict(zip(unique, await together(remove(*entry) for entry in unique), strict=True))
    return [answers[entry] for entry in entries]


async def _push(api: RealmApi, asked: Submission, places: Sequence[int]) -> list[Document]:
    jobs = [asked.jobs[place] for place in places]
    try:
        return await push_jobs(api, jobs, asked.options)
    except REFUSALS as error:
        refused = {"status": PushStatus.REFUSED.value, "state": None, "error": str(error)}
        return [{"id": job.id, **refused} for job in jobs]


def _grouped(realms: Sequence[str]) -> dict[str, list[int]]:
    """The places of each realm's entries."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(realms):
        places[name].append(place)
    return places
