"""`status -w` as a person sees it: on a terminal of its own, with a real worker at work."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.cli.bars import SHAPES
from tests.cli.by_hand import FAILED, end_jobs
from tests.cli.screen import OnScreen, Screen
from tests.cli.stub_service import Reply, StubService, problem
from tests.cli.terminal import Terminal, start_process

CROSS = SHAPES["failed"]


@pytest.fixture
def worker(terminal: Terminal) -> Iterator[subprocess.Popen[str]]:
    """On two batches, of which a job each fails; some jobs wait until a file is there."""
    terminal("push", "--batch", "b1", "--tag", "fit", given="true\necho no such data; exit 3\ntrue\ntrue\n")
    wait = "until test -e $JOBQ_WORKER_DIR/go; do sleep 0.05; done"
    terminal(
        "push",
        "--batch",
        "b2",
        "--tags",
        "fit,plot",
        "--lane",
        "7",
        given=f"echo no such data; exit 3\n{wait}\n{wait}\n{wait}\n",
    )
    process = start_process("worker", "-n", "2", "-q")
    yield process
    process.kill()
    process.communicate()


def _row(screen: Screen, name: str) -> str:
    return next((line for line in screen.lines if line.startswith(f"{name} ")), "")


def test_watching_a_realm_shows_bars_rates_and_etas_until_all_has_ended(worker: subprocess.Popen[str]) -> None:
    with OnScreen("status", "-w", "--interval", "100ms") as watching:
        watching.until(lambda screen: "▒" in _row(screen, "b2") and "per minute" in screen.lines[0])
        meanwhile = list(watching.screen.lines)
        Path("go").touch()
        code = watching.end()
    screen = watching.screen

    assert meanwhile[0].startswith("realm demo  5 of 8 ended  ")
    assert code == 0
    assert screen.lines[0].startswith("realm demo  8 of 8 ended  ")
    assert screen.lines[2] == f"█ 6 succeeded  {CROSS} 2 failed"
    assert re.search(rf"█+{CROSS}+ +100% +0 +1 ", _row(screen, "b2"))
    assert screen.lines[screen.lines.index("FAILURE") + 1] == "2  exit: no such data"
    assert not screen.is_cursor_hidden
    assert screen.scrolled == []


def test_ctrl_c_leaves_the_last_picture_and_ends_with_130(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", "-c", "true")
    with OnScreen("status", "batch", "b1", "-w") as watching:
        watching.until(lambda screen: "1 queued" in screen.text)
        is_hidden = watching.screen.is_cursor_hidden
        watching.type("\x03")
        code = watching.end()

    assert code == 130
    assert is_hidden
    assert not watching.screen.is_cursor_hidden
    assert watching.screen.lines[0].startswith("batch b1  0 of 1 ended  ")
    assert watching.screen.lines[2] == f"█ 0 succeeded  {CROSS} 0 failed  ░ 1 queued"
    assert [line for line in watching.screen.lines[3:] if line] == ["interrupted"]


def test_a_terminal_of_another_size_is_drawn_anew(terminal: Terminal) -> None:
    for name in ("b1", "b2", "b3"):
        terminal("push", "--batch", name, "-c", "true")
    with OnScreen("status", "-w", "--interval", "1m", width=100) as watching:
        watching.until(lambda screen: _is_drawn(screen, 100))
        for width, height in ((40, 9), (120, 30)):
            watching.resize(width, height)
            watching.until(lambda screen, width=width: _is_drawn(screen, min(width, 100)))  # type: ignore[misc]


def _is_drawn(screen: Screen, bar_width: int) -> bool:
    """Once, from the top on, and for this width."""
    is_alone = screen.text.count("realm demo") == 1 and screen.lines[0].startswith("realm demo")
    return is_alone and any(line.endswith("░    0%") and len(line) == bar_width for line in screen.lines)


@pytest.mark.parametrize(
    ("env", "bar"), [({"NO_COLOR": "1"}, f"█+{CROSS}+░+"), ({"NO_COLOR": "1", "PYTHONIOENCODING": "ascii"}, r"#+x+\.+")]
)
def test_no_colour_and_no_letters_are_needed_to_tell_what_failed(
    terminal: Terminal, env: dict[str, str], bar: str
) -> None:
    terminal("push", "--tag", "t", given="true\ntrue\ntrue\n")
    end_jobs()
    end_jobs(1, FAILED)
    with OnScreen("status", "tag", "t", "-w", width=40, **env) as watching:
        watching.until(lambda screen: "queued" in screen.text)
    assert watching.screen.lines[0].startswith("tag t  2 of 3 ended  ")
    assert any(re.fullmatch(f"{bar}   66%", line) for line in watching.screen.lines)


def test_a_job_is_one_line_until_it_ends(terminal: Terminal) -> None:
    terminal("push", "-c", "true", "--id", "j1")
    with OnScreen("status", "job", "j1", "-w", "--interval", "100ms") as watching:
        watching.until(lambda screen: screen.text == "j1: queued")
        end_jobs()
        assert watching.end() == 0
    assert watching.screen.text == "j1: succeeded"


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_where_nothing_can_be_drawn_over_there_are_lines(terminal: Terminal, term: str) -> None:
    terminal("push", "--tag", "t", given="true\ntrue\n")
    with OnScreen("status", "tag", "t", "-w", "--interval", "100ms", TERM=term) as watching:
        watching.until(lambda screen: "0 of 2 ended (0%), 2 queued" in screen.text)
        end_jobs(2)
        assert watching.end() == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d  2 of 2 ended \(100%\), [\d,]+ per minute", watching.screen.lines[1])


def test_lines_of_a_pipe_tell_the_rate_and_when_it_will_have_ended(terminal: Terminal) -> None:
    terminal("push", "--tag", "t", given="true\ntrue\n")
    process = start_process("status", "tag", "t", "-w", "--interval", "100ms")
    assert process.stdout is not None
    first = process.stdout.readline()
    end_jobs()
    second = process.stdout.readline()
    end_jobs()
    rest, _ = process.communicate(timeout=30)

    assert first.split("  ")[1] == "0 of 2 ended (0%), 2 queued\n"
    assert re.fullmatch(r"1 of 2 ended \(50%\), (1 queued|1 running), [\d,]+ per minute, [ 0-9ms]+ left\n", second[10:])
    assert re.fullmatch(r"2 of 2 ended \(100%\), [\d,.]+ per minute\n", rest[10:])
    assert process.returncode == 0


COUNTS = {"total": 4, "queued": 4, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}


def test_a_service_that_goes_is_said_with_the_last_counts_and_its_return_is_seen(stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"tag": "t", **COUNTS})
    with OnScreen(f"{stub.url}/demo", "status", "tag", "t", "-w", "--interval", "100ms") as watching:
        watching.until(lambda screen: "░ 4 queued" in screen.text)
        stub.answer = lambda asked: problem(503, "the storage account is not reachable")
        watching.until(lambda screen: "no answer since" in screen.text)
        lost = watching.screen.text
        stub.answer = lambda asked: Reply(document={"tag": "t", **COUNTS, "queued": 3, "succeeded": 1})
        watching.until(lambda screen: "no answer" not in screen.text)
        back = watching.screen.text
        stub.answer = lambda asked: problem(403, "this key has expired")
        code = watching.end()

    assert "░ 4 queued" in lost
    assert "asking again" in lost
    assert "the storage account is not reachable" in lost
    assert "░ 3 queued" in back
    assert code == 4
    assert "░ 3 queued" in watching.screen.text
    assert "this key has expired" in watching.screen.text


def test_a_service_that_is_not_there_at_the_first_look_is_an_error(stub: StubService) -> None:
    stub.answer = lambda asked: problem(503, "no")
    with OnScreen(f"{stub.url}/demo", "status", "-w") as watching:
        assert watching.end() == 9
    assert "ended" not in watching.screen.text


LOGGING = """
import logging
from datetime import timedelta
from jobq.cli.canvas import keep_drawing

logging.basicConfig(format="%(levelname)s: %(message)s")
looks = iter(range(4))

def ask():
    ended = next(looks)
    logging.getLogger("jobq").warning("look %d", ended)
    return {"tag": "t", "total": 3, "queued": 3 - ended, "running": 0, "succeeded": ended, "failed": 0, "cancelled": 0}

keep_drawing(ask, timedelta(milliseconds=600))
"""


def test_what_is_logged_goes_above_the_picture() -> None:
    with OnScreen(run=[sys.executable, "-c", LOGGING]) as watching:
        assert watching.end() == 0
    lines = watching.screen.lines
    assert lines[:4] == [f"WARNING: look {n}" for n in range(4)]
    assert lines[4].startswith("tag t  3 of 3 ended  ")
    assert lines[7:] == [""] * 17
