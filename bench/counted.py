"""jobq's command line with its storage transactions counted: `python -m bench.counted FILE [WORD ...]`.

When it ends it leaves in FILE, as JSON: `counts` by port and method, and `at`, the seconds from its start for each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from jobq import connect
from jobq.cli.main import cli
from jobq.core.meter import Meter, metered
from jobq.core.ports import Stack


class TimedMeter(Meter):
    """Also keeps when each transaction was."""

    def __init__(self) -> None:
        super().__init__()
        self.restart()

    def restart(self) -> None:
        """Forget what was counted."""
        self.clear()
        self.at: list[tuple[float, str]] = []
        self.started = time.monotonic()

    def __setitem__(self, key: str, value: int) -> None:
        self.at += [(round(time.monotonic() - self.started, 3), key)] * (value - self[key])
        super().__setitem__(key, value)

    def document(self) -> dict[str, Any]:
        return {"counts": dict(self), "at": self.at}


def main(file: Path, words: list[str]) -> None:
    meter = TimedMeter()
    open_stack = connect.open_stack

    def counted(*args: Any, **options: Any) -> Stack:
        return metered(open_stack(*args, **options), meter)

    try:
        with patch.object(connect, "open_stack", counted):
            cli.main(words)
    finally:
        file.write_text(json.dumps(meter.document()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
