"""Whether the kernel killed a process for memory: its own counter says so, and not a guess from an exit code."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

READ_BYTES = 64 * 1024
_OOM_KILL = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills() -> int:
    """How many processes were killed for memory so far, in this process's cgroup and so among its children.

    On the whole machine where the cgroup does not count; 0 where nobody does.
    """
    counter = _counter()
    if counter is not None:
        with suppress(OSError):
            return _number_in(os.pread(counter, READ_BYTES, 0).decode()) or 0
    return 0


@cache
def _counter() -> int | None:
    """Open for good: it is read for each job."""
    file = find_counter(Path("/sys/fs/cgroup"), Path("/proc"))
    return os.open(file, os.O_RDONLY | os.O_CLOEXEC) if file else None


def find_counter(cgroups: Path, proc: Path) -> Path | None:
    """The file that counts: of cgroup version 2 or 1, as a host or a container shows it; or of the whole kernel."""
    candidates: list[Path] = []
    with suppress(OSError):
        for line in (proc / "self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "memory":
                places, name = [cgroups / "memory" / path.lstrip("/"), cgroups / "memory"], "memory.oom_control"
            elif controllers == "":
                places, name = [cgroups / path.lstrip("/"), cgroups], "memory.events"
            else:
                continue
            candidates += [place / name for place in places]
    candidates.append(proc / "vmstat")
    return next((file for file in candidates if _read(file) is not None), None)


def _read(file: Path) -> int | None:
    with suppress(OSError):
        return _number_in(file.read_text())
    return None


def _number_in(text: str) -> int | None:
    found = _OOM_KILL.search(text)
    return int(found[1]) if found else None
