"""From push to start, with a worker that waits: what one interactive job feels like."""

from __future__ import annotations

import random
import shlex
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.options import Options
from bench.processes import Failed, running
from bench.report import Table, judged, number
from bench.stores import JOBQ, Kind, Store, fresh_store

TARGETS: dict[Kind, float] = {"local": 0.2, "azurite": 0.5, "servicebus": 0.2}
"""For a push from a process that is up: the command line has its start-up on top."""
BETWEEN_SECONDS = (1.5, 2.5)
"""Between two pushes, at random, so that they do not fall in step with the worker's questions."""
MOST_SECONDS = 30.0

Push = Callable[[str], object]


def latency(options: Options) -> Table:
    jobs = options.count(30, 3)
    rows = []
    for kind in TARGETS:
        with fresh_store(kind) as store, running([JOBQ, "worker", "--forever"], env=store.env, folder=store.folder):
            with store.client() as client:
                rows.append(_row(kind, "`Client.push`", _starts(store, lambda one: client.push([one]), jobs)))
            rows.append(_row(kind, "`jobq push -c`", _starts(store, lambda one: store.jobq("push", "-c", one), jobs)))
    return Table(
        "latency",
        "Seconds from push to start, a `worker --forever` waiting, one job every 2 s or so",
        f"{jobs} jobs a row, after one to warm up",
        ["stack", "pushed by", "median s", "p90 s", "longest s", "target for the median"],
        rows,
        [
            "From just before the call (for `jobq push -c`: before its process is started) to what `date` says as the "
            "job's first command."
        ],
    )


def _row(kind: Kind, by: str, starts: list[float]) -> list[str]:
    median, p90 = statistics.median(starts), statistics.quantiles(starts, n=10, method="inclusive")[-1]
    return [kind, by, number(median, 2), number(p90, 2), number(max(starts), 2), judged(median, TARGETS[kind])]


def _starts(store: Store, push: Push, jobs: int) -> list[float]:
    """Seconds to the start, shape (jobs,)."""
    pick = random.Random(1)
    found = []
    for number_ in range(jobs + 1):
        file = store.folder / f"start-{time.time_ns()}-{number_}"
        # Renamed when it is whole: the reader must not see half a number.
        name = shlex.quote(str(file))
        pushed_at = time.time()
        push(f"date +%s.%N > {name}.new && mv {name}.new {name}")
        found.append(_started_at(file) - pushed_at)
        time.sleep(pick.uniform(*BETWEEN_SECONDS))
    return found[1:]


def _started_at(file: Path) -> float:
    deadline = time.monotonic() + MOST_SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise Failed(f"a job did not start within {MOST_SECONDS} s")
        time.sleep(0.02)
    return float(file.read_text())
