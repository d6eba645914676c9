"""Where and with what a figure was measured: it heads every table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = (
    "jobq",
    "aiohttp",
    "azure-core",
    "azure-identity",
    "azure-data-tables",
    "azure-storage-queue",
    "azure-servicebus",
)


@dataclass(frozen=True, slots=True)
class Machine:
    commit: str
    date: str
    hardware: str
    versions: str

    def __str__(self) -> str:
        return f"commit {self.commit}, {self.date}, on {self.hardware}; {self.versions}"


def this_machine(peer: str = "") -> Machine:
    """`peer`: name and version of what is measured beside jobq."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    versions = [f"Python {platform.python_version()}", *_libraries(), f"Azurite {_azurite()}", f"Node.js {_node()}"]
    return Machine(
        commit=_commit(),
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        hardware=f"{_cpu()}, {os.cpu_count()} cores, {memory:.0f} GB, load before the run {os.getloadavg()[0]:.1f}",
        versions=", ".join(versions + ([peer] if peer else [])),
    )


def _commit() -> str:
    commit = _said("git", "rev-parse", "--short", "HEAD")
    if not commit:
        return "none yet"
    changed = _said("git", "status", "--porcelain", "client", "bench", ":!bench/README.md")
    return f"{commit} with changes" if changed else commit


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _libraries() -> list[str]:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _azurite() -> str:
    package = ROOT / "node_modules/azurite/package.json"
    return str(json.loads(package.read_text())["version"]) if package.exists() else "not installed"


def _node() -> str:
    return _said("node", "--version").removeprefix("v") or "of a PyPI wheel"


def _said(*command: str) -> str:
    """Its output; empty if it fails or is not there."""
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""
