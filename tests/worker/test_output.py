"""What becomes of what a job writes: the terminal, the log blob, the last lines."""

from __future__ import annotations

import io
import os
import threading
import time
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobq.adapters.folder import MemoryBlobs
from jobq.core.logs import TIMES, LogTimes
from jobq.errors import Unreachable
from jobq.model.job import TAIL_CHARS
from jobq.worker.output import HEAD_BYTES, TAIL_BYTES, Output
from jobq.worker.terminal import MOST_LINES, Terminal
from tests.proof.world import Clock

KEY = "log/demo/j1/0001"
START = datetime(2026, 1, 1, tzinfo=UTC)


class CountingBlobs(MemoryBlobs):
    """Says which calls came, and fails the first few."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.failures = failures

    async def put(self, key: str, data: bytes) -> None:
        self._note("put")
        await super().put(key, data)

    async def append(self, key: str, data: bytes) -> None:
        self._note("append")
        await super().append(key, data)

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if self.failures >= len(self.calls):
            raise Unreachable("no answer")


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def blobs() -> CountingBlobs:
    return CountingBlobs()


@pytest.fixture
def output(blobs: CountingBlobs) -> Output:
    return Output(blobs, KEY, b"[j1] ", None)


async def test_short_output_is_put_once(output: Output, blobs: CountingBlobs) -> None:
    output.feed(b"hello\n")

    assert await output.close() == KEY
    assert blobs.calls == ["put"]
    assert await blobs.get(KEY) == b"hello\n"


async def test_no_output_costs_no_call_and_has_no_log(output: Output, blobs: CountingBlobs) -> None:
    assert await output.close() == ""
    assert blobs.calls == []


async def test_long_output_is_appended(output: Output, blobs: CountingBlobs) -> None:
    output.feed(b"early ")
    output.store_soon()
    output.feed(b"late")

    assert await output.close() == KEY
    assert blobs.calls == ["append", "append"]
    assert await blobs.get(KEY) == b"early late"


async def test_output_that_could_not_be_stored_is_tried_again(output: Output, blobs: CountingBlobs) -> None:
    blobs.failures = 2
    output.feed(b"hello\n")

    assert await output.close() == KEY
    assert await blobs.get(KEY) == b"hello\n"


async def test_output_that_cannot_be_stored_leaves_the_tail(output: Output, blobs: CountingBlobs) -> None:
    blobs.failures = 100
    output.feed(b"hello\n")

    assert await output.close() == ""
    assert output.tail == "hello"


async def test_output_without_measure_keeps_head_and_tail(output: Output, blobs: CountingBlobs) -> None:
    # Given 20 MB in lines that differ
    lines = b"".join(b"%015d\n" % n for n in range(64 * 1024))
    for _ in range(20):
        output.feed(lines)
    output.feed(b"the end\n")

    # When it is stored
    await output.close()
    stored = await blobs.get(KEY) or b""

    # Then both ends are there, and what is missing is said
    size = 20 * len(lines) + len(b"the end\n")
    assert stored.startswith(lines)
    assert stored.endswith(b"the end\n")
    assert b"\n... %d bytes left out ...\n" % (size - HEAD_BYTES - TAIL_BYTES) in stored
    assert len(stored) < HEAD_BYTES + TAIL_BYTES + 100


async def test_output_just_over_the_cap_is_stored_whole(output: Output, blobs: CountingBlobs) -> None:
    data = bytes(range(256)) * (HEAD_BYTES // 256) + b"a few more"
    output.feed(data)

    await output.close()

    assert await blobs.get(KEY) == data


async def test_when_the_output_came_is_stored_beside_it_each_half_minute(blobs: CountingBlobs, clock: Clock) -> None:
    # Given output that comes with each of ten flushes, five seconds apart
    output = Output(blobs, KEY, b"[j1] ", None, clock.now)
    for number in range(10):
        output.feed(b"line %d\nand a ha" % number)
        clock.move(by=timedelta(seconds=5))
        await stored(output)

    # Then the times are stored at the sixth, and not at the end, and say where the line that was being written began
    assert await output.close() == KEY
    assert blobs.calls == ["append"] * 6 + ["put"] + ["append"] * 4
    times = LogTimes.decode(await blobs.get(f"{KEY}{TIMES}") or b"")
    assert [size for _, size in times.times] == [7 + 15 * number for number in range(6)]
    assert [time for time, _ in times.times] == [START + timedelta(seconds=5 * number) for number in range(1, 7)]


async def test_times_are_stored_though_nothing_more_comes(blobs: CountingBlobs, clock: Clock) -> None:
    output = Output(blobs, KEY, b"[j1] ", None, clock.now)
    output.feed(b"early\n")
    for _ in range(20):
        clock.move(by=timedelta(seconds=5))
        await stored(output)

    assert blobs.calls == ["append", "put"]


async def test_times_that_cannot_be_stored_are_tried_again_and_harm_no_output(
    blobs: CountingBlobs, clock: Clock
) -> None:
    output = Output(blobs, KEY, b"[j1] ", None, clock.now)
    for _ in range(2):
        output.feed(b"line\n")
        clock.move(by=timedelta(seconds=31))
        blobs.failures = 2  # the first put
        await stored(output)
    clock.move(by=timedelta(seconds=31))
    await stored(output)

    assert await output.close() == KEY
    assert await blobs.get(KEY) == b"line\nline\n"
    assert len(LogTimes.decode(await blobs.get(f"{KEY}{TIMES}") or b"").times) == 2


async def test_times_never_point_into_what_was_left_out(blobs: CountingBlobs, clock: Clock) -> None:
    output = Output(blobs, KEY, b"[j1] ", None, clock.now)
    for _ in range(3):
        output.feed(b"x" * (HEAD_BYTES // 2) + b"\n")
        clock.move(by=timedelta(seconds=31))
        await stored(output)

    times = LogTimes.decode(await blobs.get(f"{KEY}{TIMES}") or b"")
    assert [size for _, size in times.times] == [HEAD_BYTES // 2 + 1, HEAD_BYTES]


async def stored(output: Output) -> None:
    output.store_soon()
    if output._storing:
        await output._storing


async def test_tail_is_the_last_lines(output: Output) -> None:
    for n in range(10_000):
        output.feed(b"line %d\n" % n)

    assert output.tail.endswith("line 9998\nline 9999")
    assert len(output.tail) <= TAIL_CHARS


async def test_tail_is_plain_text(output: Output) -> None:
    output.feed(b"\x1b[1;31mred\x1b[0m \x1b]0;title\x07bell\x07 nul\x00 \xff\tok\r\n")

    assert output.tail.startswith("red bell")
    assert output.tail.endswith("\tok")
    assert not [char for char in output.tail if unicodedata.category(char) == "Cc" and char != "\t"]


async def test_tail_of_a_progress_bar_is_what_a_terminal_shows(output: Output) -> None:
    output.feed(b"start\r\n" + b"".join(b"\r%3d %%" % n for n in range(101)) + b"\r")

    assert output.tail == "start\n100 %"


async def test_tail_of_one_endless_line_is_its_end_and_quick() -> None:
    output = Output(MemoryBlobs(), KEY, b"[j1] ", io.BytesIO())
    started = time.monotonic()
    for _ in range(64):
        output.feed(b"x" * 65536)
    output.feed(b"end")

    assert output.tail == "x" * (TAIL_CHARS - 3) + "end"
    assert time.monotonic() - started < 5


async def test_terminal_has_a_prefix_on_every_line(blobs: CountingBlobs) -> None:
    terminal = io.BytesIO()
    output = Output(blobs, KEY, b"[j1] ", terminal)
    for piece in (b"one\ntw", b"o\n", b"three"):
        output.feed(piece)

    await output.close()

    assert terminal.getvalue() == b"[j1] one\n[j1] two\n[j1] three\n"


async def test_endless_line_is_cut_for_the_terminal(blobs: CountingBlobs) -> None:
    terminal = io.BytesIO()
    output = Output(blobs, KEY, b"[j1] ", terminal)

    output.feed(b"x" * 100_000)

    assert terminal.getvalue().count(b"[j1] ") == 100_000 // 8192


async def test_terminal_that_is_gone_does_not_matter(blobs: CountingBlobs) -> None:
    output = Output(blobs, KEY, b"", GoneTerminal())
    output.feed(b"one\ntwo\nthree")

    assert await output.close() == KEY
    assert await blobs.get(KEY) == b"one\ntwo\nthree"


class GoneTerminal(io.BytesIO):
    def write(self, data: object) -> int:
        raise BrokenPipeError


class Blocked(io.BytesIO):
    """A stream whose reader has stopped, until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()

    def write(self, data: Any, /) -> int:
        self.may_go_on.wait(timeout=30)
        return super().write(data)


def test_terminal_that_nobody_reads_blocks_nothing_and_says_what_is_left_out() -> None:
    # given
    stream = Blocked()
    terminal = Terminal(stream)

    # when
    for number in range(3 * MOST_LINES):
        terminal.write(b"%d\n" % number)
    stream.may_go_on.set()
    until_true(lambda: stream.getvalue().count(b"\n") > MOST_LINES - 1)
    terminal.write(b"last\n")
    terminal.close()

    # then
    lines = stream.getvalue().splitlines()
    assert lines[0] == b"0"
    assert lines[-2].endswith(b"lines not shown ...")
    assert lines[-1] == b"last"


def until_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def test_terminal_that_is_gone_is_told_apart_from_a_slow_one() -> None:
    # given
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "wb", buffering=0)
    terminal = Terminal(stream)

    # when
    terminal.write(b"line\n")
    terminal.close()

    # then
    with pytest.raises(OSError):
        terminal.write(b"line\n")
    stream.close()
