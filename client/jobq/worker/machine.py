"""How busy this machine is, as the kernel says."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE)


def in_use(proc: Path = Path("/proc")) -> dict[str, float]:
    """`cpu`: processes that ran or waited to, on average over the last minute, for each processor; over 1 if some
    waited. `memory`: the part that is not available, from 0 to 1. What cannot be read is left out."""
    used: dict[str, float] = {}
    with suppress(OSError, ValueError, IndexError):
        used["cpu"] = round(float((proc / "loadavg").read_text().split()[0]) / (os.cpu_count() or 1), 2)
    with suppress(OSError, KeyError, ZeroDivisionError):
        kilobytes = {name: int(number) for name, number in _MEMORY.findall((proc / "meminfo").read_text())}
        used["memory"] = round(1 - kilobytes["MemAvailable"] / kilobytes["MemTotal"], 2)
    return used
