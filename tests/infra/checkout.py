"""A checkout as people have them, with what must never leave it lying about; and what `.funcignore` leaves of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "tests/requirements.txt"
PRIVATE = (
    ".azure/dev/.env",
    ".env",
    ".venv/lib/site.py",
    "client/.env",
    "client/jobq/.ruff_cache/found.py",
    "client/jobq/__pycache__/job.cpython-313.pyc",
    "jobq_service/.secret",
    "jobq_service/old.pyc",
    "local.settings.json",
    "node_modules/some/index.js",
)
_HEAVY = shutil.ignore_patterns(".git", ".venv*", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "dist")


def make_checkout(folder: Path) -> Path:
    """A copy of this one, and then all that is PRIVATE."""
    shutil.copytree(ROOT, folder, ignore=_HEAVY, dirs_exist_ok=True)
    for name in PRIVATE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("sesame")
    return folder


def left_by_funcignore(checkout: Path) -> list[str]:
    """Its files, by their paths, that a deployment takes along."""
    spec = GitIgnoreSpec.from_lines((checkout / ".funcignore").read_text().splitlines())
    return sorted(path for path in spec.match_tree_files(checkout, negate=True))


def run_with_index(command: Sequence[str], folder: Path, **env: str) -> str:
    """What something says that needs a package index, at the versions that tests run with. Fails: a skip at home."""
    pins = {"PIP_CONSTRAINT": str(LOCK), "UV_CONSTRAINT": str(LOCK), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, cwd=folder, env={**os.environ, **pins, **env}, capture_output=True, text=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"no package index? {' '.join(command[:4])}: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout
