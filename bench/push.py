"""Push from standard input beside ai4s-jobq, on the same Azurite in memory, in rounds by turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from bench.ai4s import QUEUE, Ai4s, peer
from bench.options import Options
from bench.processes import Failed, Usage
from bench.report import Table, judged, middle, number
from bench.stores import TAG, fresh_store, trues

TARGETS = {1: 1.5, 32: 3.0}
"""By jobs per ticket: the ratio of the jobs per second."""


def push(options: Options) -> Table:
    jobs, other = options.count(5000, 200), peer(options.ai4s)
    theirs: list[Usage] = []
    ours: dict[int, list[Usage]] = {chunk: [] for chunk in TARGETS}
    for _ in range(options.rounds):
        theirs.append(_ai4s(other, jobs))
        for chunk in TARGETS:
            ours[chunk].append(_jobq(jobs, chunk))
    return Table(
        "push",
        f"Push of {jobs:,} times `true` from standard input, beside ai4s-jobq; Azurite in memory",
        f"{options.rounds} interleaved rounds, a fresh Azurite each; medians and range",
        ["jobq push", "jobq jobs/s", "ai4s-jobq jobs/s", "ratio", "CPU ms per job: jobq", "ai4s-jobq", "target"],
        [_row(chunk, ours[chunk], theirs, jobs) for chunk in TARGETS],
        [
            "Whole processes, start-up included on both sides. jobq stores a row with a tag and counters for each job; "
            "ai4s-jobq a message."
        ],
    )


def _row(chunk: int, ours: Sequence[Usage], theirs: Sequence[Usage], jobs: int) -> list[str]:
    ratio = _seconds(theirs) / _seconds(ours)
    rates = [middle([jobs / one.wall_seconds for one in used]) for used in (ours, theirs)]
    cpu = [number(statistics.median(1000 * one.cpu_seconds / jobs for one in used), 2) for used in (ours, theirs)]
    return [f"`--chunk {chunk}`", *rates, number(ratio, 2), *cpu, judged(ratio, TARGETS[chunk], at_least=True)]


def _seconds(used: Sequence[Usage]) -> float:
    return statistics.median(one.wall_seconds for one in used)


def _jobq(jobs: int, chunk: int) -> Usage:
    with fresh_store("azurite") as store:
        used = store.jobq("push", "--tag", TAG, "--chunk", str(chunk), lines=trues(store, jobs))
        store.check(jobs, "queued")
        return used


def _ai4s(other: Ai4s, jobs: int) -> Usage:
    with fresh_store("azurite") as store:
        used = other(store, "push", lines=trues(store, jobs))
        if (stored := store.depth(QUEUE)) != jobs:
            raise Failed(f"ai4s-jobq has pushed {stored} of {jobs} jobs")
        return used
