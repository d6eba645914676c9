"""How busy a machine is."""

from __future__ import annotations

import os
from pathlib import Path

from jobq.worker.machine import in_use


def test_load_and_memory_are_read_as_parts_of_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text(f"{1.5 * (os.cpu_count() or 1)} 0.1 0.0 1/100 7\n")
    (tmp_path / "meminfo").write_text("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    250 kB\n")

    assert in_use(tmp_path) == {"cpu": 1.5, "memory": 0.75}


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("nothing of that kind\n")

    assert in_use(tmp_path) == {}


def test_this_machine_can_be_read() -> None:
    used = in_use()
    assert used["cpu"] >= 0
    assert 0 < used["memory"] < 1
