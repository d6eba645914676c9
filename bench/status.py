"""`status tag T` with few and with many jobs under the tag."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.options import Options
from bench.processes import Failed
from bench.report import Table, judged, number
from bench.stores import TAG, Kind, Store, fresh_store
from jobq.core.api import RealmApi
from jobq.core.meter import Meter, metered
from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.core.together import together
from jobq.model.job import NewJob, Spec

KINDS: tuple[Kind, ...] = ("local", "azurite")
WINDOW = 1000


@dataclass(slots=True)
class _Seen:
    reads: int = 0
    """Of each look."""
    milliseconds: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    """Milliseconds of as many scans of a partition that does not exist: what the backend itself adds with its size."""

    @property
    def medians(self) -> tuple[float, float]:
        return statistics.median(self.milliseconds), statistics.median(self.floor)


def status(options: Options) -> Table:
    sizes = (100, 2000) if options.quick else (1000, 100_000)
    looks = options.count(30, 5)
    rows = [row for kind in KINDS for row in _rows(kind, sizes, looks)]
    return Table(
        "status",
        "`status tag T`, asked through an open connection",
        f"{looks} looks a row after one to warm up, at the two sizes in turn; medians",
        ["stack", "jobs under the tag", "reads", "ms", "to the smaller", "as many empty scans, ms", "target"],
        rows,
        [
            "Each size in a store of its own. The jobs were pushed by one process and are queued. Empty scans: of a "
            "partition that does not exist, at once, in the same store. Azurite goes through all rows of a table for "
            "any scan, so on it this column is its own share; on Azure itself: not run."
        ],
    )


def _rows(kind: Kind, sizes: Sequence[int], looks: int) -> list[list[str]]:
    with ExitStack() as opened:
        stores = {size: opened.enter_context(fresh_store(kind)) for size in sizes}
        seen = asyncio.run(_look(stores, looks))
    first = seen[sizes[0]]
    base, _ = first.medians
    rows = []
    for size, one in seen.items():
        ms, floor = one.medians
        target = f"{judged(ms / base, 1.5)}, {'same' if one.reads == first.reads else '**other**'} number of reads"
        cells = [kind, number(size), number(one.reads), number(ms, 2), number(ms / base, 2), number(floor, 2)]
        rows.append([*cells, "" if one is first else target])
    return rows


async def _look(stores: dict[int, Store], looks: int) -> dict[int, _Seen]:
    stacks = {size: store.stack() for size, store in stores.items()}
    seen = {size: _Seen() for size in stores}
    try:
        for size, stack in stacks.items():
            await _fill(RealmApi(Realm(stack, "bench")), size)
            await _look_once(stack, size, _Seen())
        for _ in range(looks):
            for size, stack in stacks.items():
                await _look_once(stack, size, seen[size])
    finally:
        for stack in stacks.values():
            await stack.close()
    return seen


async def _look_once(stack: Stack, size: int, seen: _Seen) -> None:
    meter = Meter()
    api = RealmApi(Realm(metered(stack, meter), "bench"))
    start = time.perf_counter()
    found = await api.tag_status(TAG)
    seen.milliseconds.append(1000 * (time.perf_counter() - start))
    seen.reads = meter.total()
    if found["queued"] != size:
        raise Failed(f"{size} jobs should be queued: {found}")
    start = time.perf_counter()
    await together(stack.table.scan("nowhere", "") for _ in range(seen.reads))
    seen.floor.append(1000 * (time.perf_counter() - start))


async def _fill(api: RealmApi, size: int) -> None:
    """In chunks of 1,000, so that there are few tickets: they are not asked about."""
    for start in range(0, size, WINDOW):
        jobs = [NewJob(f"job-{i}", Spec(command="true", tags=(TAG,))) for i in range(start, min(size, start + WINDOW))]
        await api.push(jobs, batch="bench", chunk=WINDOW)
