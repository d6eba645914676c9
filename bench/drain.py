"""Drain of a queue of short jobs beside ai4s-jobq, on the same Azurite in memory, in rounds by turns."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass

from bench.ai4s import Ai4s, peer
from bench.options import Options
from bench.processes import Failed, Usage
from bench.report import Table, judged, middle, number
from bench.stores import TAG, fresh_store, job_lines, trues


@dataclass(frozen=True, slots=True)
class Worker:
    slots: int
    chunk: int = 1
    """Jobs that share a ticket; the peer has no such thing."""


TARGETS = {Worker(1): 8.0, Worker(2): 5.0, Worker(8): 2.5, Worker(8, 32): 8.0}
"""The ratio of the jobs per second to those of the peer with as many slots."""


@dataclass(slots=True)
class _Runs:
    """Of one tool with one kind of worker, a round each: with the jobs, and on an empty queue."""

    jobs: int
    full: list[Usage]
    empty: list[Usage]

    @property
    def seconds(self) -> float:
        return statistics.median(one.wall_seconds for one in self.full)

    @property
    def rates(self) -> str:
        return middle([self.jobs / one.wall_seconds for one in self.full])

    @property
    def without_start(self) -> str:
        return number(self.jobs / (self.seconds - statistics.median(one.wall_seconds for one in self.empty)))

    @property
    def cpu(self) -> str:
        return number(statistics.median(1000 * one.cpu_seconds / self.jobs for one in self.full), 1)

    @property
    def memory(self) -> str:
        return number(statistics.median(one.tree_mb for one in self.full))


def drain(options: Options) -> Table:
    jobs, other = options.count(500, 60), peer(options.ai4s)
    _check_peer(other, 20)
    ours: dict[Worker, _Runs] = defaultdict(lambda: _Runs(jobs, [], []))
    theirs: dict[int, _Runs] = defaultdict(lambda: _Runs(jobs, [], []))
    for _ in range(options.rounds):
        for worker in TARGETS:
            if worker.chunk == 1:
                theirs[worker.slots].full.append(_ai4s(other, jobs, worker))
                theirs[worker.slots].empty.append(_ai4s(other, 0, worker))
            ours[worker].full.append(_jobq(jobs, worker))
            ours[worker].empty.append(_jobq(0, worker))
    columns = ["jobs/s", "without start-up", "CPU ms per job", "memory MB"]
    both = [f"{tool}: {column}" for column in columns for tool in ("jobq", "ai4s-jobq")]
    return Table(
        "drain",
        f"Drain of {jobs:,} times `true`, beside ai4s-jobq; Azurite in memory",
        f"{options.rounds} interleaved rounds, a fresh Azurite each; medians and range",
        ["worker", *both[:2], "ratio", *both[2:], "target for the ratio"],
        [_row(worker, ours[worker], theirs[worker.slots]) for worker in TARGETS],
        [
            "Whole processes. The ratio is of jobs per second with start-up on both sides. Without start-up: less what "
            "the same command takes on an empty queue. CPU: user and system of the worker and all below it, with the "
            "jobs' own. Memory: peak PSS of the worker and what it keeps running, sampled four times a second.",
            "After each drain all jobs of jobq have succeeded, and the two queues of ai4s-jobq are empty; before the "
            "first its jobs were seen to run, by what they wrote.",
        ],
    )


def _row(worker: Worker, ours: _Runs, theirs: _Runs) -> list[str]:
    ratio = theirs.seconds / ours.seconds
    return [
        f"`-n {worker.slots}`" + (f", chunks of {worker.chunk}" if worker.chunk > 1 else ""),
        *(one.rates for one in (ours, theirs)),
        number(ratio, 1),
        *(one.without_start for one in (ours, theirs)),
        *(one.cpu for one in (ours, theirs)),
        *(one.memory for one in (ours, theirs)),
        judged(ratio, TARGETS[worker], at_least=True),
    ]


def _jobq(jobs: int, worker: Worker) -> Usage:
    """With 0 jobs, on a queue that was used and has nothing left."""
    with fresh_store("azurite") as store:
        store.jobq("push", "--tag", TAG, "--chunk", str(worker.chunk), lines=trues(store, max(1, jobs)))
        if not jobs:
            store.jobq("worker")
        used = store.jobq("worker", "-n", str(worker.slots))
        store.check(max(1, jobs))
    return used


def _ai4s(other: Ai4s, jobs: int, worker: Worker) -> Usage:
    with fresh_store("azurite") as store:
        other(store, "push", lines=trues(store, max(1, jobs)))
        if not jobs:
            other(store, "worker")
        used = other(store, "worker", "-n", str(worker.slots))
        other.check_empty(store)
    return used


def _check_peer(other: Ai4s, jobs: int) -> None:
    """Raises Failed unless it runs each job once, by the line that each leaves."""
    with fresh_store("azurite") as store:
        ran = store.folder / "ran"
        other(store, "push", lines=job_lines(store, [f"echo {i} >> {ran}" for i in range(jobs)]))
        other(store, "worker", "-n", "2")
        if sorted(map(int, ran.read_text().split())) != list(range(jobs)):
            raise Failed(f"ai4s-jobq ran other jobs than the {jobs} it was given")
