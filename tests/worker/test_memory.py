"""Where the kernel counts processes killed for memory; that it does, tests/fault/test_memory.py shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobq.worker.memory import find_counter, oom_kills

EVENTS = "low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


@pytest.mark.parametrize(
    ("mine", "files", "found"),
    [
        ("0::/user.slice/w", {"cgroup/user.slice/w/memory.events": EVENTS}, "cgroup/user.slice/w/memory.events"),
        ("0::/", {"cgroup/memory.events": EVENTS}, "cgroup/memory.events"),
        ("0::/../../x", {"cgroup/memory.events": EVENTS}, "cgroup/memory.events"),
        ("5:cpu:/\n4:memory:/w\n0::/", {"cgroup/memory/w/memory.oom_control": CONTROL}, None),
        ("4:memory:/docker/abc", {"cgroup/memory/memory.oom_control": CONTROL}, "cgroup/memory/memory.oom_control"),
        (
            "4:memory:/",
            {"cgroup/memory/memory.oom_control": "under_oom 0\n", "proc/vmstat": "pgfault 1\noom_kill 2\n"},
            "proc/vmstat",
        ),
        ("", {"proc/vmstat": "pgfault 1\noom_kill 2\n"}, "proc/vmstat"),
    ],
)
def test_counter_is_found_as_machines_and_containers_have_it(
    tmp_path: Path, mine: str, files: dict[str, str], found: str | None
) -> None:
    for name, text in {"proc/self/cgroup": mine, **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    file = find_counter(tmp_path / "cgroup", tmp_path / "proc")

    assert file == tmp_path / (found or next(iter(files)))


def test_nothing_counts_nothing(tmp_path: Path) -> None:
    assert find_counter(tmp_path, tmp_path) is None


def test_this_machine_counts() -> None:
    assert oom_kills() >= 0
    assert find_counter(Path("/sys/fs/cgroup"), Path("/proc")) is not None
