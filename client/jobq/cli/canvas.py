"""A picture on a terminal that is kept up to date, also while the terminal changes its size, or nobody answers."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from jobq.cli.bars import ASCII, SHAPES
from jobq.cli.looks import Look, Looks
from jobq.cli.output import printable
from jobq.cli.picture import Frame, picture
from jobq.cli.tallies import remaining
from jobq.core.documents import Document
from jobq.errors import Unreachable
from jobq.model.durations import utc_now

PATIENCE = timedelta(days=1)
"""With a backend that had answered before."""

LATE = timedelta(seconds=10)
"""After the interval; then a look that is not answered is worth a word."""


def draws() -> bool:
    """Whether this terminal lets lines be drawn over."""
    return Console().is_interactive


def keep_drawing(
    ask: Callable[[], Document],
    interval: timedelta,
    *,
    now: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Until nothing remains. Raises what the first look raises; an outage later on is said, and waited out."""
    looks = Looks()
    canvas = Canvas(Console(highlight=False), interval, now, looks.take(ask(), now()))
    with _kept_up(canvas):
        while remaining(canvas.look.document):
            sleep(interval.total_seconds())
            try:
                canvas.show(looks.take(ask(), now()))
            except Unreachable as error:
                if now() - canvas.look.at > PATIENCE:
                    raise
                canvas.problem = str(error)


@dataclass(slots=True)
class Canvas:
    """Drawn from another thread: what is shown is replaced, never changed."""

    console: Console
    interval: timedelta
    now: Callable[[], datetime]
    look: Look
    problem: str = ""
    """Why the last try had no answer."""
    _size: tuple[int, int] = (0, 0)

    def show(self, look: Look) -> None:
        self.look, self.problem = look, ""

    def __call__(self) -> Group:
        """The picture, for the size that the terminal has now."""
        width, height = self.console.size
        if self._size not in ((0, 0), (width, height)):
            # Each terminal breaks the lines of the last picture anew in its own way: nobody knows where it begins.
            self.console.clear()
        self._size = (width, height)
        frame = Frame(width, height - 1, ASCII if self.console.options.ascii_only else SHAPES)
        look = self.look
        return Group(*picture(look, frame, self._notes(look)))

    def _notes(self, look: Look) -> list[Text]:
        if not self.problem and self.now() - look.at < self.interval + LATE:
            return []
        since = f"no answer since {look.at.astimezone():%H:%M:%S}"
        why = f", asking again: {printable(self.problem)}" if self.problem else ""
        return [Text(since + why, "bold red" if self.problem else "yellow")]


@contextmanager
def _kept_up(canvas: Canvas) -> Iterator[None]:
    """Drawn twice a second. Lines that are logged meanwhile go above the picture; what was drawn last stays.

    Only at its end is it drawn from this thread, where Ctrl-C might cut it in two.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names may have letters that the terminal's encoding lacks
    stderr, handlers = sys.stderr, logging.getLogger().handlers
    logs = [each for each in handlers if isinstance(each, logging.StreamHandler) and each.stream is stderr]
    with Live(console=canvas.console, get_renderable=canvas, refresh_per_second=2, redirect_stderr=stderr.isatty()):
        try:
            for handler in logs:
                handler.setStream(sys.stderr)
            yield
        finally:
            for handler in logs:
                handler.setStream(stderr)
