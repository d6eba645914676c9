"""Run a command as a whole process and say what it took: time, processor, memory of it and of all below it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.25
MOST_SECONDS = 1200.0


@dataclass(frozen=True, slots=True)
class Usage:
    wall_seconds: float
    """From before the start of the process to its end."""
    cpu_seconds: float
    """User and system, of the process and all of its descendants that were waited for."""
    peak_mb: float = 0.0
    """Resident memory of the process alone at its highest (VmHWM)."""
    tree_mb: float = 0.0
    """Proportional memory (PSS) of the process and all below it that live for long, the highest of the samples."""


class Failed(Exception):
    """A measured command did not do what it was to do, so there is nothing to report."""


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    folder: Path,
    lines: Path | None = None,
    samples: bool = True,
    timeout: float = MOST_SECONDS,
) -> Usage:
    """With `lines` as standard input. Raises Failed, with the last lines of its output, unless it exits with 0."""
    with tempfile.TemporaryFile() as output, (lines or Path(os.devnull)).open("rb") as given:
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(env),
            cwd=folder,
            stdin=given,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        with _sampled(process.pid, is_wanted=samples) as sample:
            used = _end_of(process, timeout)
            wall = time.perf_counter() - start
        if process.returncode:
            output.seek(0)
            tail = output.read().decode(errors="replace")[-2000:]
            raise Failed(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{tail}")
    return Usage(wall, used.ru_utime + used.ru_stime, sample.peak_mb, sample.tree_mb)


def _end_of(process: subprocess.Popen[bytes], timeout: float) -> resource.struct_rusage:
    """Waits for it; whatever it has started is killed with it, should it take too long or we be interrupted."""
    killer = threading.Timer(timeout, lambda: os.killpg(process.pid, signal.SIGKILL))
    killer.daemon = True
    killer.start()
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return used


@contextmanager
def running(
    command: Sequence[str | Path], *, env: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """In the background; ended with SIGTERM. Raises Failed if it ended by itself, or with anything but 0."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            yield process
            has_stayed = process.poll() is None
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            finally:
                process.kill()
                process.wait()
        if process.returncode or not has_stayed:
            output.seek(0)
            raise Failed(
                f"{command[0]} ended with {process.returncode}: {output.read().decode(errors='replace')[-2000:]}"
            )


@dataclass(slots=True)
class _Sample:
    peak_mb: float = 0.0
    tree_mb: float = 0.0
    seen: frozenset[int] = frozenset()
    is_over: threading.Event = field(default_factory=threading.Event)

    def watch(self, pid: int) -> None:
        while not self.is_over.wait(SAMPLE_SECONDS):
            with suppress(OSError):  # ended meanwhile
                self.peak_mb = max(self.peak_mb, _field(pid, "status", "VmHWM"))
                # Only what was there a sample ago: a process just forked off shows its parent's memory once more.
                tree = frozenset(_tree(pid))
                self.tree_mb = max(self.tree_mb, sum(_pss(one) for one in tree & (self.seen | {pid})))
                self.seen = tree


@contextmanager
def _sampled(pid: int, *, is_wanted: bool) -> Iterator[_Sample]:
    # Not ru_maxrss: a process that was forked inherits there what its parent, this one, had resident.
    sample = _Sample()
    thread = threading.Thread(target=sample.watch, args=(pid,), daemon=True)
    if is_wanted:
        thread.start()
    try:
        yield sample
    finally:
        sample.is_over.set()
        if is_wanted:
            thread.join()


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _pss(pid: int) -> float:
    try:
        return _field(pid, "smaps_rollup", "Pss")
    except OSError:
        return 0.0


def _field(pid: int, file: str, name: str) -> float:
    """A size of /proc in MB; 0 where there is none (a process that has ended)."""
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1000
    return 0.0
