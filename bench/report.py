"""Figures as markdown tables, printed and put into a file between the markers of their names."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Machine


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    """Of its markers: `<!-- bench:NAME -->` and `<!-- end:NAME -->`."""
    title: str
    n: str
    """What was counted, and how often."""
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def markdown(table: Table, machine: Machine, command: str, *, quick: bool = False) -> str:
    heading = [f"**{table.title}**", "", f"`{command}` at {machine}. n: {table.n}.", ""]
    body = [_line(table.columns), _line(["---"] * len(table.columns)), *map(_line, table.rows)]
    warning = ["A quick run, to see that all works: **the numbers mean nothing.**"] if quick else []
    notes = [line for note in (*table.notes, *warning) for line in ("", note)]
    return "\n".join([*heading, *body, *notes]) + "\n"


def put_into(file: Path, name: str, text: str) -> None:
    """Replace what stands between the markers of `name`; a file without them gets both at its end."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    begin, end = f"<!-- bench:{name} -->", f"<!-- end:{name} -->"
    block = f"{begin}\n{text}{end}"
    after, count = re.subn(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: block, before, flags=re.DOTALL)
    file.write_text(after if count else f"{before}\n{block}\n", encoding="utf-8")


def middle(values: Sequence[float], digits: int = 0) -> str:
    """The median and, of several, the range."""
    median = number(statistics.median(values), digits)
    return median if len(values) < 2 else f"{median} ({number(min(values), digits)} to {number(max(values), digits)})"


def number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def judged(value: float, target: float, *, at_least: bool = False) -> str:
    """Whether a target is met, for the table's last column."""
    is_met = value >= target if at_least else value <= target
    return f"{'at least' if at_least else 'at most'} {target:g}: {'met' if is_met else '**missed**'}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
