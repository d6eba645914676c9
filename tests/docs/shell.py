"""A shell that tests type into, as a reader of the pages does."""

from __future__ import annotations

import subprocess
from pathlib import Path

_END = "--end-of-command-"


class Shell:
    """One bash, fed a command at a time."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash"], cwd=folder, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, command: str) -> tuple[str, int]:
        """Its standard output and exit code. What it says on standard error is talk."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\necho {_END}$?\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            before, end, code = line.partition(_END)
            output += before
            if end:
                return output, int(code)
        raise AssertionError(f"the shell ended in {command!r}, after: {output}")

    def close(self) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.close()
        self._bash.wait(timeout=30)
        assert self._bash.stdout is not None
        self._bash.stdout.close()
