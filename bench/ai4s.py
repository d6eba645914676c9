"""The peer, ai4s-jobq, in a virtual environment of its own, and its command line on a store."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Failed, Usage, run
from bench.stores import Store
from tests.azurite import ACCOUNT

VERSION = "3.13.1"
CACHE = Path(__file__).parent / ".cache"
QUEUE = "peer"


@dataclass(frozen=True, slots=True)
class Ai4s:
    program: Path

    def __call__(self, store: Store, *words: str, lines: Path | None = None) -> Usage:
        """Its command line as a whole process."""
        env = store.env | {"JOBQ_COPILOT_SKILL": "0", "JOBQ_PID_DIR": str(store.folder)}
        del env["JOBQ"], env["PYTHONPATH"]
        return run([self.program, f"{ACCOUNT}/{QUEUE}", *words], env=env, folder=store.folder, lines=lines)

    def check_empty(self, store: Store) -> None:
        """Raises Failed if there is a message left, or one of a job that failed."""
        left = store.depth(QUEUE), store.depth(f"{QUEUE}-failed")
        if any(left):
            raise Failed(f"ai4s-jobq has left {left[0]} jobs, and {left[1]} failed ones")

    @property
    def version(self) -> str:
        """Of it and of its SDK, as its own environment says."""
        code = "from importlib.metadata import version as v; print(v('ai4s-jobq'), v('azure-storage-queue'))"
        python = self.program.parent / "python"
        said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        return f"ai4s-jobq {said[0]} (azure-storage-queue {said[1]})"


def peer(program: Path | None) -> Ai4s:
    """The one given, or else of bench/.cache, where it is installed from PyPI at the first time."""
    if program is not None:
        # Not resolved: a virtual environment is found by the path of its program.
        return Ai4s(program.absolute())
    home = CACHE / f"ai4s-jobq-{VERSION}"
    installed = home / "bin" / "ai4s-jobq"
    if not installed.exists():
        CACHE.mkdir(exist_ok=True)
        (CACHE / ".gitignore").write_text("*\n")
        print(f"installing ai4s-jobq {VERSION} in {os.path.relpath(home)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        pip: list[str | Path] = [
            home / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, f"ai4s-jobq=={VERSION}"], check=True)
    return Ai4s(installed)
