"""Storage transactions per job, from push to finish: what an account is billed for."""

from __future__ import annotations

from collections import Counter

from bench.options import Options
from bench.report import Table, judged, number
from bench.stores import TAG, fresh_store, trues

TARGETS = {1: 3.0, 32: 0.40}


def transactions(options: Options) -> Table:
    sizes = (200, 400) if options.quick else (2000, 4000)
    measured = {(chunk, jobs): _per_job(chunk, jobs) for chunk in TARGETS for jobs in sizes}
    kinds = sorted({kind for one in measured.values() for kind in one}, key=lambda kind: -_most(measured, kind))
    rows = [
        [
            f"`--chunk {chunk}`",
            number(jobs),
            number(sum(one.values()), 3),
            *(number(one.get(kind, 0), 3) for kind in kinds),
            judged(sum(one.values()), TARGETS[chunk]),
        ]
        for (chunk, jobs), one in measured.items()
    ]
    return Table(
        "transactions",
        "Storage transactions per job, push to finish: `true`, one tag, `worker -n 8`, Azurite in memory",
        "jobs as in the table, once each",
        ["push", "jobs", "per job", *kinds, "target"],
        rows,
        ["Counted by the meter on the ports, in the processes of the command line, from their start to their end."],
    )


def _per_job(chunk: int, jobs: int) -> dict[str, float]:
    with fresh_store("azurite") as store:
        total = Counter(store.counted("push", "--tag", TAG, "--chunk", str(chunk), lines=trues(store, jobs)))
        total.update(store.counted("worker", "-n", "8"))
        store.check(jobs)
    return {kind: count / jobs for kind, count in total.items()}


def _most(measured: dict[tuple[int, int], dict[str, float]], kind: str) -> float:
    return max(one.get(kind, 0.0) for one in measured.values())
