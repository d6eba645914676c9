"""Answers on standard output, talk on standard error. Commands hand values to this file and never print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import click

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_CELL = 200


def say(text: str) -> None:
    click.echo(text, err=True)


def answer(text: str) -> None:
    click.echo(text)


def answer_bytes(data: bytes) -> None:
    click.echo(data, nl=False)


def answer_json(document: object) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def answer_lines(documents: Iterable[object]) -> None:
    """JSON lines."""
    for document in documents:
        click.echo(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def answer_document(document: Mapping[str, Any], form: str) -> None:
    """One document, as json or as a line of jsonl."""
    if form == "json":
        answer_json(document)
    else:
        answer_lines([document])


def answer_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, optional: Sequence[str] = ()) -> None:
    """Aligned; numbers to the right. In colour on a terminal, plain where it is piped.

    `optional`: columns that are left out where no row has a value in them.
    """
    kept = [i for i, name in enumerate(columns) if name not in optional or any(row[i] for row in rows)]
    columns, rows = [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]
    if is_terminal():
        from rich.console import Console

        Console().print(drawn_table(columns, rows))
    else:
        click.echo("\n".join(plain_table(columns, rows)))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    cells = [columns, *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = _right(columns, rows)
    return ["  ".join(map(_aligned, row, widths, right)).rstrip() for row in cells]


def drawn_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Any:
    """For a terminal: cut to its width, states in colour unless NO_COLOR is set."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for i, (name, is_right) in enumerate(zip(columns, _right(columns, rows), strict=True)):
        # What does not fit is taken from the last column: the command.
        width = max(len(row[i]) for row in [columns, *cells]) if i < len(columns) - 1 else None
        justify: Literal["left", "right"] = "right" if is_right else "left"
        table.add_column(name, justify=justify, min_width=width, no_wrap=True, overflow="ellipsis")
    for row in cells:
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    return table


def is_terminal() -> bool:
    return sys.stdout.isatty()


def is_talking_to_a_person() -> bool:
    """Whether questions may be asked, and progress be shown on one line."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Progress:
    """One line on standard error that is written over; nothing where that is not a terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        if self._is_shown:
            click.echo("\r" + text.ljust(self._width), err=True, nl=False)
            self._width = len(text)

    def clear(self) -> None:
        if self._width:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)
            self._width = 0


def printable(text: str) -> str:
    """Without what a terminal would obey, but for line ends and tabs."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def how_many(number: int, noun: str = "job") -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))
    return text if len(text) <= _MAX_CELL else text[: _MAX_CELL - 1] + "…"


def _right(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[bool]:
    return [bool(rows) and all(isinstance(row[i], int) for row in rows) for i in range(len(columns))]


def _aligned(text: str, width: int, is_right: bool) -> str:
    return text.rjust(width) if is_right else text.ljust(width)


_STYLES = {"failed": "red", "running": "cyan", "succeeded": "green", "cancelled": "yellow"}
