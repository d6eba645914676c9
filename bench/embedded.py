"""The embedded stack: short jobs per second beside xargs, and what a worker takes for few and for many jobs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.options import Options
from bench.processes import Usage, run
from bench.report import Table, judged, middle, number
from bench.stores import TAG, Store, fresh_store, trues

TARGET = 400


def embedded(options: Options) -> Table:
    jobs = options.count(2000, 200)
    sizes = (100, 300) if options.quick else (1000, 10_000)
    ours, bare, empty = [], [], []
    for _ in range(options.rounds):
        ours.append(_drain(jobs))
        bare.append(_xargs(jobs))
        empty.append(_drain(0))
    rows = [
        _row("`jobq worker -n 2`", jobs, ours, statistics.median(used.wall_seconds for used in empty)),
        _row("`xargs -P2 -n1 bash -c`", jobs, bare, 0.0, target=""),
        *(_row("`jobq worker -n 2`", size, [_drain(size)], 0.0, target="flat") for size in sizes),
    ]
    return Table(
        "embedded",
        "The embedded stack: `true` on a local folder, and `xargs` beside it",
        f"{options.rounds} interleaved rounds, medians and range; the last two rows once each",
        ["command", "jobs", "jobs/s", "without start-up", "CPU ms per job", "peak MB", "target"],
        rows,
        [
            "Whole processes. Without start-up: less what the same command takes on an empty queue. CPU: user and "
            "system, with the jobs' own. Peak: resident memory of the worker alone."
        ],
    )


def _row(command: str, jobs: int, used: Sequence[Usage], empty_seconds: float, target: str | None = None) -> list[str]:
    rates = [jobs / one.wall_seconds for one in used]
    rate = jobs / (statistics.median(one.wall_seconds for one in used) - empty_seconds)
    return [
        command,
        number(jobs),
        middle(rates),
        number(rate) if empty_seconds else "",
        number(statistics.median(1000 * one.cpu_seconds / jobs for one in used), 2),
        number(statistics.median(one.peak_mb for one in used)),
        judged(statistics.median(rates), TARGET, at_least=True) if target is None else target,
    ]


def _drain(jobs: int) -> Usage:
    with fresh_store("local") as store:
        store.jobq("push", "--tag", TAG, lines=trues(store, max(1, jobs)))
        if not jobs:  # a queue that was used, and has nothing left
            store.jobq("worker")
        used = store.jobq("worker", "-n", "2")
        store.check(max(1, jobs))
    return used


def _xargs(jobs: int) -> Usage:
    with fresh_store("local") as store:
        return _run_xargs(store, jobs)


def _run_xargs(store: Store, jobs: int) -> Usage:
    words = ["xargs", "-P2", "-n1", "bash", "-c"]
    return run(words, env=store.env, folder=store.folder, lines=trues(store, jobs))
