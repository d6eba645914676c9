"""Files shipped with jobs, in the blob store: manifests and pieces, under names that say what their bytes are.

They stay when jobs are removed, since others may use them. A month's go together, when no job names that month any
more: a push names the month that it began in, so nobody counts on what is in a past one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from jobq.core.listing import Filter, each_job
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.errors import BadInput
from jobq.model.files import Manifest, is_named_by, month_of
from jobq.model.job import Job
from jobq.model.names import content_name

logger = logging.getLogger(__name__)

AT_ONCE = 8
"""Requests at the same time; each may hold a piece."""

_PAST_THE_END = 10**12
"""No content is so large; to read from there on tells whether there is one, and costs no bytes."""

Contents = Mapping[str, Callable[[], bytes]]
"""By name; each is read when its turn comes."""


async def missing_files(realm: Realm, names: Iterable[str]) -> list[str]:
    """Which of these are not stored. Raises BadInput for what is no name."""
    gate, keys = asyncio.Semaphore(AT_ONCE), {name: _key(realm, name) for name in names}

    async def is_missing(key: str) -> bool:
        async with gate:
            return await realm.stack.blobs.get(key, start=_PAST_THE_END) is None

    are_missing = await together(map(is_missing, keys.values()))
    return [name for name, is_gone in zip(keys, are_missing, strict=True) if is_gone]


async def put_files(realm: Realm, contents: Contents) -> None:
    """Store them all. Raises BadInput for bytes that have another digest than their name says."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def put(name: str, read: Callable[[], bytes]) -> None:
        async with gate:
            key = _key(realm, name)
            data = await asyncio.to_thread(_checked, name, read)
            await realm.stack.blobs.put(key, data)

    await together(put(name, read) for name, read in contents.items())


async def get_file(realm: Realm, name: str) -> bytes:
    """Raises BadInput for what is gone, or is not what its name says."""
    data = await realm.stack.blobs.get(_key(realm, name))
    if data is None:
        raise BadInput(f"{name} is not in the store (any more); push again with --file")
    if not await asyncio.to_thread(is_named_by, name, data):
        raise BadInput(f"{name} is broken: what is stored has another digest; remove it, and push again with --file")
    return data


async def manifest_of(realm: Realm, job: Job) -> Manifest:
    """What is in the job's directory when it starts. Raises BadInput for what is gone, or is no manifest."""
    return Manifest.parse(await get_file(realm, job.spec.files)) if job.spec.files else Manifest({})


async def check_stored(realm: Realm, names: Iterable[str]) -> None:
    """Raises BadInput for files that a push names and that are not there."""
    if missing := await missing_files(realm, names):
        raise BadInput(
            f"the files {missing[0]} that a job names are not stored in {realm.address}; "
            "push them with --file, or store them first"
        )


async def forget_files(realm: Realm) -> int:
    """Remove the files of past months that no job names; how many. Reads every job."""
    first = _month_before(realm.now())
    old = [key for key in await realm.stack.blobs.list(_prefix(realm)) if _month(key) < first]
    if not old:
        return 0
    named = {_month(job.spec.files) async for job in each_job(realm, Filter()) if job.spec.files}
    gone = [key for key in old if _month(key) not in named]
    await together(_delete(realm, gone[start::AT_ONCE]) for start in range(AT_ONCE))
    logger.info("removed %d files of past months that no job names", len(gone))
    return len(gone)


def _month_before(now: datetime) -> str:
    """From this one on, files may be stored whose jobs are still to come."""
    return month_of(now.replace(day=1) - timedelta(days=1))


def _month(name: str) -> str:
    return name.rpartition("/")[2].partition("-")[0]


async def _delete(realm: Realm, keys: Iterable[str]) -> None:
    for key in keys:
        await realm.stack.blobs.delete(key)


def _checked(name: str, read: Callable[[], bytes]) -> bytes:
    data = read()
    if not is_named_by(name, data):
        raise BadInput(f"{len(data):,} bytes were sent as {name}, and have another digest")
    return data


def _key(realm: Realm, name: str) -> str:
    return _prefix(realm) + content_name(name)


def _prefix(realm: Realm) -> str:
    return f"file/{realm.name}/"
