"""Real `jobq` processes, started and ended by a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.stacks import Place
from tests.until import until

_JOBQ = [sys.executable, "-c", "from jobq.cli.main import main; main()"]
CLIENT = Path(__file__).resolve().parents[2] / "client"

Process = subprocess.Popen[bytes]


@dataclass(slots=True)
class Processes:
    """Started against one place; what they say is printed when the test has ended."""

    place: Place
    folder: Path
    started: list[Process] = field(default_factory=list)

    def jobq(self, *arguments: str, lines: str = "", before: Sequence[str] = ()) -> Process:
        """`jobq ARGUMENTS`, with `lines` as its standard input; `before`: a command that runs it."""
        given = self.folder / f"input-{len(self.started)}"
        given.write_text(lines)
        env = {**self.place.environment, "PYTHONPATH": str(CLIENT)}
        with given.open("rb") as stdin, self._log(len(self.started)).open("wb") as log:
            process = subprocess.Popen([*before, *_JOBQ, *arguments], env=env, stdin=stdin, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def worker(self, *options: str, before: Sequence[str] = ()) -> Process:
        """A worker with short leases, for ever unless the options say otherwise."""
        until_when = () if {"--exit-when-empty", "--idle-timeout"} & {*options} else ("--forever",)
        return self.jobq("worker", *until_when, *options, before=before)

    def said(self, n: int) -> str:
        """What process number `n` has written."""
        return self._log(n).read_text(errors="replace")

    def kill_all(self) -> None:
        for n, process in enumerate(self.started):
            process.kill()
            process.wait()
            print(
                f"--- process {n} ended with {process.returncode}\n{self._log(n).read_text(errors='replace')[-4000:]}"
            )

    def _log(self, n: int) -> Path:
        return self.folder / f"log-{n}"


async def exit_code(process: Process) -> int:
    await until(lambda: process.poll() is not None)
    return int(process.returncode)


def lines_of(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


CORES = os.cpu_count() or 1
