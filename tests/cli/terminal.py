"""The command line as tests use it: in this process where that is enough, as a process where it matters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobq.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-c", "from jobq.cli.main import main; main()"]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


class Terminal:
    """`jobq …`, with neither a person nor a terminal."""

    def __call__(self, *arguments: str, given: str | bytes = "") -> Answer:
        result = CliRunner().invoke(cli, list(arguments), input=given, prog_name="jobq")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)


def environment() -> dict[str, str]:
    """Without a width of its own: a terminal has one, whatever the runner of the tests sets."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**inherited, "PYTHONPATH": f"{ROOT / 'client'}{os.pathsep}{ROOT}", "PYTHONWARNINGS": "error"}


def run_process(*arguments: str, given: str = "") -> Answer:
    done = subprocess.run(
        [*RUN, *arguments], input=given, capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def start_process(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*RUN, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


@contextmanager
def served() -> Iterator[str]:
    """`jobq serve`, and the address of realm demo over HTTP."""
    process = start_process("serve", "--port", "0")
    assert process.stderr is not None
    first = process.stderr.readline()
    found = re.search(r"http://\S+/api/demo", first)
    assert found, first + process.stderr.read()
    try:
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0


def until(condition: Callable[[], bool], *, within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def leave_to_somebody_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it belong to another user; where this one may not give files away, be somebody else."""
    uid = file.stat().st_uid + 1
    try:
        os.chown(file, uid, -1)
    except PermissionError:
        monkeypatch.setattr("os.getuid", lambda: uid)
