"""Storage requests of a worker that has nothing to do, just after it was busy and ten minutes later."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.options import Options
from bench.processes import Failed, run, running
from bench.report import Table, judged, number
from bench.stores import fresh_store

SPANS = {"0 to 60 s": (0.0, 60.0), "1 to 10 min": (60.0, 600.0), "after 10 min": (600.0, 1200.0)}
SLOW_SPANS = SPANS | {"after 10 min": (600.0, 780.0)}
At = Sequence[tuple[float, str]]


def idle(options: Options) -> Table:
    seeds = options.count(5, 1)
    simulated = [_simulated(seed) for seed in range(seeds)]
    rows = [_row("simulated", name, span, simulated) for name, span in SPANS.items()]
    if options.slow:
        real = [_real(max(end for _, end in SLOW_SPANS.values()))]
        rows += [_row("Azurite", name, span, real) for name, span in SLOW_SPANS.items()]
    return Table(
        "idle",
        "Storage requests of an idle `worker --forever`, per second",
        f"{seeds} simulated workers" + (", one real one" if options.slow else ""),
        ["worker", "idle for", "requests/s", "of which", "target"],
        rows,
        [
            "Simulated: the worker's own code on a store in memory with the polling limits of Storage queues and a "
            "clock that jumps from one timer to the next. `--slow` adds 13 minutes of a real one on Azurite."
        ],
    )


def _row(worker: str, name: str, span: tuple[float, float], runs: Sequence[At]) -> list[str]:
    start, end = span
    kinds = Counter(kind for at in runs for second, kind in at if start <= second < end)
    seconds = (end - start) * len(runs)
    parts = ", ".join(f"{kind} {count / seconds:.3f}" for kind, count in kinds.most_common())
    target = judged(kinds.total() / seconds, 0.2) if start >= 600 else ""
    return [worker, name, number(kinds.total() / seconds, 3), parts, target]


def _simulated(seed: int) -> At:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "counted.json")
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parent.parent)}
        words: list[str | Path] = [
            sys.executable,
            "-m",
            "bench.idle_clock",
            file,
            str(seed),
            str(max(end for _, end in SPANS.values())),
        ]
        run(words, env=env, folder=Path(folder), samples=False)
        return _at(file)


def _real(seconds: float) -> At:
    with fresh_store("azurite") as store:
        file = store.folder / "counted.json"
        store.jobq("push", "-c", "true")
        store.jobq("worker")
        words: list[str | Path] = [sys.executable, "-m", "bench.counted", file, "worker", "--forever"]
        with running(words, env=store.env, folder=store.folder):
            time.sleep(seconds + 2)
        return _at(file)


def _at(file: Path) -> At:
    at = [(float(second), str(kind)) for second, kind in json.loads(file.read_text())["at"]]
    if not at:
        raise Failed("the idle worker made no request at all")
    return at
