"""The picture of `status -w`: what is in it, at any size of a terminal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.text import Text

from jobq.cli.bars import ASCII, SHAPES
from jobq.cli.canvas import keep_drawing
from jobq.cli.looks import Looks
from jobq.cli.picture import Frame, picture, shares
from jobq.errors import NotAllowed, Unreachable

START = datetime(2026, 1, 1, tzinfo=UTC)
Document = dict[str, Any]


def counts(succeeded: int, failed: int = 0, running: int = 0, queued: int = 0) -> Document:
    total = succeeded + failed + running + queued
    states = {"succeeded": succeeded, "failed": failed, "running": running, "queued": queued}
    return {"total": total, **states, "cancelled": 0}


def realm(**batches: Document) -> Document:
    sums = {name: sum(batch[name] for batch in batches.values()) for name in counts(0)}
    more = {"workers": 3, "paused": [], "tags": {"fit": sums}, "lanes": {"0": sums, "7": sums}}
    return {"realm": "demo", **sums, **more, "batches": batches}


MANY = realm(**{f"b{n:02}": counts(n, 1, running=int(n == 3), queued=40 - n) for n in range(30)})


def drawn(document: Document, width: int = 80, height: int = 24, *, before: Document | None = None) -> list[str]:
    """As it is at the second look."""
    looks = Looks()
    looks.take(before or document, START)
    look = looks.take(document, START + timedelta(minutes=1))
    return [line.plain for line in picture(look, Frame(width, height, SHAPES))]


def rows(lines: list[str], heading: str) -> list[str]:
    """The first words of the lines below a heading."""
    (start,) = (i for i, line in enumerate(lines) if line.startswith(heading))
    part = lines[start + 1 :]
    return [line.split()[0] for line in part[: part.index("") if "" in part else None]]


def test_a_realm_is_told_with_its_rate_its_bars_and_when_it_will_have_ended() -> None:
    first = realm(b1=counts(0, queued=100), b2=counts(0, queued=50))
    later = realm(b1=counts(20, 5, running=5, queued=70), b2=counts(0, queued=50))

    lines = drawn(later, before=first)

    assert lines[0].startswith("realm demo  25 of 150 ended  25 per minute  5m left  3 workers  ")
    assert lines[1].startswith("█")
    assert lines[1].endswith("░   16%")
    assert lines[2] == f"█ 20 succeeded  {SHAPES['failed']} 5 failed  ▒ 5 running  ░ 120 queued"
    assert lines[4].split() == ["BATCH", "ENDED", "REMAINING", "FAILED", "PER", "MIN", "ETA"]
    assert lines[5].split()[0] == "b2"
    assert lines[6].split()[0] == "b1"
    assert lines[6].split()[2:] == ["25%", "75", "5", "25", "3m"]
    assert rows(lines, "TAG") == ["fit"]
    assert rows(lines, "LANE") == ["0", "7"]


@pytest.mark.parametrize("width", [1, 5, 20, 40, 63, 80, 120, 300])
@pytest.mark.parametrize("height", [1, 2, 4, 11, 24, 60])
def test_a_picture_fits_whatever_the_size(width: int, height: int) -> None:
    looks = Looks()
    look = looks.take(MANY, START)
    notes = [Text("no answer since 14:03:12, asking again: it does not answer; is it running?")]

    for document in (look, looks.take({"id": "a job with a long name", "state": "queued", "progress": None}, START)):
        lines = picture(document, Frame(width, height, ASCII), notes)

        assert len(lines) <= height
        assert max(line.cell_len for line in lines) <= width


def test_narrow_terminals_see_the_name_the_bar_and_when() -> None:
    lines = drawn(MANY, 40)
    heading = next(line for line in lines if line.startswith("BATCH"))
    assert heading.split()[-2:] == ["ENDED", "ETA"]
    assert all("░" in line for line in lines if line.startswith("b"))


def test_the_batches_that_run_are_shown_first_then_the_newest_and_the_heading_says_of_how_many() -> None:
    lines = drawn(MANY, height=16)
    assert rows(lines, "BATCH (4 of 30)") == ["b29", "b28", "b27", "b03"]


def test_a_batch_that_ends_while_it_is_watched_keeps_its_row() -> None:
    before = realm(b1=counts(1, queued=1), b2=counts(0, queued=4))
    lines = drawn(realm(b1=counts(2), b2=counts(0, queued=4)), before=before)
    assert rows(lines, "BATCH") == ["b2", "b1"]


def test_failures_of_a_kind_are_told_together_and_cut_to_the_width() -> None:
    failures = [
        {"error": "0123456789ab", "line": "exit: CUDA out of memory " + "x" * 99, "jobs": 1200},
        {"error": "ba9876543210", "line": "exit: [red]\x1b[2J", "jobs": 3},
        {"error": "456789abcdef", "line": "timeout", "jobs": 1},
    ]
    document = realm(b1=counts(0, 1204, queued=1), b2=counts(0, queued=1)) | {"failures": failures}

    whole, low = drawn(document), drawn(document | {"more_failures": True, "more_batches": True}, height=11)

    assert whole[whole.index("FAILURE") + 1].startswith("1,200  exit: CUDA out of memory x")
    assert whole[whole.index("FAILURE") + 2] == "    3  exit: [red]\ufffd[2J"
    assert rows(low, "BATCH (2 of 2+)") == ["b2", "b1"]
    assert rows(low, "FAILURE (2 of 3+)") == ["1,200", "3"]


def test_a_paused_realm_and_one_without_workers_say_so() -> None:
    document = realm(b1=counts(0, queued=1)) | {"workers": 0, "paused": ["7"]}
    assert "  0 workers  paused: lane 7  " in drawn(document)[0]
    assert "  paused  " in drawn(document | {"paused": ["*"]})[0]


def test_one_look_measures_and_an_end_does_not() -> None:
    def first_line(document: Document) -> str:
        return picture(Looks().take(document, START), Frame(80, 24, SHAPES))[0].plain

    assert "  measuring  " in first_line({"tag": "t", **counts(1, queued=1)})
    assert "measuring" not in first_line({"tag": "t", **counts(2)})


def test_a_name_cannot_move_the_cursor_or_be_markup() -> None:
    lines = drawn(realm(**{"[red]\x1b[2J\n\u202e": counts(0, queued=1)}))
    (row,) = rows(lines, "BATCH")
    assert row == "[red]\ufffd[2J"
    assert not any("\x1b" in line or "\n" in line for line in lines)


def test_each_kind_has_its_turn_and_who_wants_no_more_leaves_its_room_to_others() -> None:
    def given(room: int, **wanted: int) -> tuple[int, ...]:
        found = shares({"batch": 9, "failure": 9, "tag": 9, "lane": 9} | wanted, room)
        return tuple(found[kind] for kind in ("batch", "failure", "tag", "lane"))

    assert given(2) == (0, 0, 0, 0)
    assert given(4) == (2, 0, 0, 0)
    assert given(16, failure=0, tag=1, lane=2) == (7, 0, 1, 2)
    assert given(18) == (4, 2, 2, 2)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def keep_asking(ask: Callable[[], Document], interval: timedelta = timedelta(minutes=10)) -> timedelta:
    """How long it was drawn."""
    clock = Clock()
    try:
        keep_drawing(ask, interval, now=lambda: clock.now, sleep=clock.sleep)
    finally:
        passed = clock.now - START
    return passed


def one_after_the_other(*answers: Document | Exception) -> Callable[[], Document]:
    left = list(answers)

    def ask() -> Document:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_an_outage_is_waited_out() -> None:
    some, done = {"tag": "t", **counts(0, queued=1)}, {"tag": "t", **counts(1)}
    ask = one_after_the_other(some, Unreachable("no"), Unreachable("no"), done)
    assert keep_asking(ask) == timedelta(minutes=30)


def test_an_outage_of_more_than_a_day_and_one_at_the_first_look_are_errors() -> None:
    with pytest.raises(Unreachable, match="gone"):
        keep_asking(one_after_the_other({"tag": "t", **counts(0, queued=1)}, Unreachable("gone")), timedelta(hours=5))
    with pytest.raises(Unreachable, match="never there"):
        keep_asking(one_after_the_other(Unreachable("never there")))


def test_what_will_not_pass_ends_it_at_once() -> None:
    with pytest.raises(NotAllowed):
        keep_asking(one_after_the_other({"tag": "t", **counts(0, queued=1)}, NotAllowed("the key has expired")))
