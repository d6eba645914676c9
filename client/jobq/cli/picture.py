"""What `status -w` draws on a terminal: lines that fit into its width and height, whatever these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text

from jobq.cli.bars import STATES, Shapes, cells
from jobq.cli.describe import state_line
from jobq.cli.looks import Look, Pace, per_minute, span
from jobq.cli.output import how_many, printable
from jobq.cli.tallies import Label, ended, percent, remaining, tallies
from jobq.core.documents import Document

_STYLES = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "queued": "bright_black"}
_TURNS = ("batch", "failure", "batch", "tag", "lane")
"""What gets a row next, while there is room."""

_MORE = {"batch": "more_batches", "tag": "more_tags", "failure": "more_failures"}
_HEADING_LINES = 2
_MIN_NAME, _MAX_BAR = 12, 50
_GAP = "  "

_COLUMNS = {"ENDED": 5, "REMAINING": 9, "RUNNING": 7, "FAILED": 6, "PER MIN": 7, "ETA": 7}
"""With their least widths, so that bars keep their place while numbers change."""

_DISPENSABLE = {"RUNNING": 40, "PER MIN": 24, "REMAINING": 22, "FAILED": 22, "ETA": 22, "ENDED": 22}
"""In the order in which they are left out, where less than so much would be left for the name and the bar."""


Row = tuple[Label, Document]


@dataclass(frozen=True, slots=True)
class Frame:
    width: int
    height: int
    shapes: Shapes


def picture(look: Look, frame: Frame, notes: Sequence[Text] = ()) -> list[Text]:
    """What the counts are of, a bar, what each shape stands for; the notes; batches, tags, lanes in the room left."""
    head = _head(look, frame)
    under = [line for note in notes for line in _wrapped(note, frame.width)][: max(1, frame.height - len(head))]
    lines = [*head, *under, *_sections(look, frame, frame.height - len(head) - len(under))][: frame.height]
    for line in lines:
        line.truncate(frame.width)
    return lines


def _head(look: Look, frame: Frame) -> list[Text]:
    if "state" in look.document:
        return _flow([Text(f"{look.document['id']}: {printable(state_line(look.document))}")], frame.width)
    (label, counts), *_ = tallies(look.document)
    pace = look.paces.get(label, Pace())
    facts = [
        Text.assemble(f"{label[0]} ", (_plain(label[1]), "bold")),
        Text(f"{ended(counts):,} of {counts['total']:,} ended"),
        *(map(Text, pace.words()) if pace.per_minute is not None or not remaining(counts) else [Text("measuring")]),
        *_about_workers(look.document),
        Text(f"{look.at.astimezone():%H:%M:%S}", "bright_black"),
    ]
    legend = [
        Text.assemble((frame.shapes[state], _STYLES[state]), f" {counts[state]:,} {state}")
        for state in STATES
        if counts[state] or state in ("succeeded", "failed")
    ]
    bar = _bar(counts, min(frame.width, 100) - 6, frame.shapes)
    return [*_flow(facts, frame.width), Text.assemble(bar, percent(counts).rjust(6)), *_flow(legend, frame.width)]


def _about_workers(document: Document) -> list[Text]:
    if "workers" not in document:
        return []
    is_missed = remaining(document) and not document["workers"]
    found = [Text(how_many(document["workers"], "worker"), "yellow" if is_missed else "")]
    if paused := document["paused"]:
        found.append(Text("paused" if "*" in paused else f"paused: lane {', '.join(paused)}", "yellow"))
    return found


def _sections(look: Look, frame: Frame, room: int) -> list[Text]:
    rows, failures = _rows(look), look.document.get("failures", ())
    wanted = {kind: len(found) for kind, found in rows.items()} | {"failure": len(failures)}
    given = shares(wanted, room)
    shown = {kind: _foremost(found, given[kind]) for kind, found in rows.items() if given[kind]}
    table = _Table.of([row for found in shown.values() for row in found], look, frame)
    parts = {
        kind: [table.heading(_title(look, kind, given, wanted)), *(table.line(*row) for row in found)]
        for kind, found in shown.items()
    }
    if given["failure"]:
        title = Text(_title(look, "failure", given, wanted), "bold")
        parts["failure"] = [title, *_failure_lines(failures[: given["failure"]])]
    return [line for kind in ("batch", "failure", "tag", "lane") if kind in parts for line in (Text(), *parts[kind])]


def _title(look: Look, kind: str, given: Mapping[str, int], wanted: Mapping[str, int]) -> str:
    """`BATCH`, or `BATCH (5 of 50+)` where not all are shown."""
    more = "+" if look.document.get(_MORE.get(kind, "")) else ""
    is_whole = given[kind] == wanted[kind] and not more
    return kind.upper() + ("" if is_whole else f" ({given[kind]} of {wanted[kind]}{more})")


def _failure_lines(failures: Sequence[Document]) -> list[Text]:
    """How many jobs failed so, and their last line."""
    numbers = [f"{failure['jobs']:,}" for failure in failures]
    width = max(map(len, numbers))
    lines = zip(numbers, failures, strict=True)
    return [Text.assemble((n.rjust(width), _STYLES["failed"]), _GAP, _plain(failure["line"])) for n, failure in lines]


def _rows(look: Look) -> dict[str, list[Row]]:
    """Of what remains, or remained at an earlier look; of batches the newest first."""
    known = [row for row in list(tallies(look.document))[1:] if row[0] in look.paces]
    rows = {kind: [row for row in known if row[0][0] == kind] for kind in ("batch", "tag", "lane")}
    rows["batch"].reverse()
    if len(look.document.get("lanes", ())) < 2:
        rows["lane"] = []
    return rows


def _foremost(rows: Sequence[Row], count: int) -> list[Row]:
    """Those that run, then those that wait, then the rest; in the order that they had, so that none jumps."""
    ranked = sorted(rows, key=lambda row: (not remaining(row[1]), not row[1]["running"]))[:count]
    kept = {label for label, _ in ranked}
    return [row for row in rows if row[0] in kept]


def shares(wanted: Mapping[str, int], room: int) -> dict[str, int]:
    """Rows for each kind, in turns; the first one of a kind brings its heading."""
    given = dict.fromkeys(wanted, 0)
    while True:
        before = room
        for kind in _TURNS:
            cost = 1 if given[kind] else 1 + _HEADING_LINES
            if given[kind] < wanted[kind] and cost <= room:
                given[kind] += 1
                room -= cost
        if room == before:
            return given


@dataclass(frozen=True, slots=True)
class _Table:
    look: Look
    frame: Frame
    columns: dict[str, int]
    """Their widths."""
    name: int
    bar: int

    @classmethod
    def of(cls, rows: Sequence[Row], look: Look, frame: Frame) -> _Table:
        values = [_values(counts, look.paces[label]) for label, counts in rows]
        columns = {name: max([least, *(len(value[name]) for value in values)]) for name, least in _COLUMNS.items()}
        longest = max([_MIN_NAME, *(Text(_plain(label[1])).cell_len for label, _ in rows)])
        for name, least in _DISPENSABLE.items():
            if frame.width - _taken(columns) < least:
                del columns[name]
        left = frame.width - _taken(columns) - len(_GAP)
        name_width = max(_MIN_NAME, min(longest, left // 2))
        return cls(look, frame, columns, name_width, min(_MAX_BAR, max(0, left - name_width)))

    def heading(self, title: str) -> Text:
        names = "".join(_GAP + name.rjust(width) for name, width in self.columns.items())
        return Text.assemble(_padded(title, self.name + len(_GAP) + self.bar), names, style="bold")

    def line(self, label: Label, counts: Document) -> Text:
        values = _values(counts, self.look.paces[label])
        line = Text.assemble(_padded(label[1], self.name), _GAP, _bar(counts, self.bar, self.frame.shapes))
        for name, width in self.columns.items():
            style = _STYLES["failed"] if name == "FAILED" and counts["failed"] else ""
            line.append(_GAP + values[name].rjust(width), style)
        return line


def _values(counts: Document, pace: Pace) -> dict[str, str]:
    return {
        "ENDED": percent(counts),
        "REMAINING": f"{remaining(counts):,}",
        "RUNNING": f"{counts['running']:,}",
        "FAILED": f"{counts['failed']:,}",
        "PER MIN": per_minute(pace.per_minute) if pace.per_minute is not None and remaining(counts) else "-",
        "ETA": span(pace.eta) if pace.eta else "-",
    }


def _taken(columns: dict[str, int]) -> int:
    return sum(width + len(_GAP) for width in columns.values())


def _bar(counts: Document, width: int, shapes: Shapes) -> Text:
    """Of just that width; blank where there is no job."""
    given = cells(counts, width)
    parts = [(shapes[state] * number, _STYLES[state]) for state, number in given.items()]
    return Text.assemble(*parts, " " * (max(0, width) - sum(given.values())))


def _padded(text: str, width: int) -> Text:
    padded = Text(_plain(text))
    padded.truncate(width, overflow="ellipsis", pad=True)
    return padded


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return printable(" ".join(text.split()))


def _flow(parts: Sequence[Text], width: int) -> list[Text]:
    """The parts side by side, in as many lines as it takes."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(_GAP) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], _GAP, part)
        else:
            lines.append(part)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _wrapped(note: Text, width: int) -> list[Text]:
    from rich.console import Console

    return list(note.wrap(Console(width=width), width))
