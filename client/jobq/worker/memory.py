"""Whether the kernel killed a process for memory: its own counter says so, and not a guess from an exit code."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import cache
from pathlib import Path

_OOM_KILL = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills() -> int:
    """How many processes were killed for memory so far, in this process's cgroup and so among its children.

    On the whole machine where the cgroup does not count; 0 where nobody does.
    """
    file = _counter()
    return (_read(file) or 0) if file else 0


@cache
def _counter() -> Path | None:
    return find_counter(Path("/sys/fs/cgroup"), Path("/proc"))


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
        if found := _OOM_KILL.search(file.read_text()):
            return int(found[1])
    return None
