"""How long `jobq --help` takes, beside an interpreter that does nothing."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from bench.options import Options
from bench.processes import run
from bench.report import Table, judged, number
from bench.stores import JOBQ

COMMANDS = {"`jobq --help`": [str(JOBQ), "--help"], "`python3 -c pass`": [sys.executable, "-c", "pass"]}


def help(options: Options) -> Table:  # the figure's name on the command line
    runs = options.count(20, 3)
    walls: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs + 1):
            for name, command in COMMANDS.items():
                used = run(command, env={"PATH": "/usr/bin:/bin"}, folder=Path(folder), samples=False)
                walls[name].append(1000 * used.wall_seconds)
    ours, bare = (statistics.median(one[1:]) for one in walls.values())  # the first fills the disk cache
    rows = [
        ["`jobq --help`", number(ours, 1), number(ours / bare, 1), judged(ours / bare, 8)],
        ["`python3 -c pass`", number(bare, 1), "1.0", ""],
    ]
    return Table(
        "help",
        "`jobq --help` beside `python3 -c pass`, of the same virtual environment",
        f"{runs} runs each, interleaved; medians of the whole process",
        ["command", "ms", "times", "target"],
        rows,
    )
