"""What the dashboard has from others is what they published: each file's digest is in `vendor/README.md`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import jobq_service

VENDOR = Path(jobq_service.__file__).parent / "static" / "vendor"
ROW = re.compile(r"^\| `(?P<file>[^`]+)` \|.*`(?P<sha256>[0-9a-f]{64})`.*\(`(?P<licence>LICENSE-\w+)`\)", re.MULTILINE)


def test_each_vendored_file_is_unchanged_and_has_its_licence() -> None:
    rows = [match.groupdict() for match in ROW.finditer((VENDOR / "README.md").read_text())]

    digests = {row["file"]: row["sha256"] for row in rows}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if _is_code(path)}
    licences = {row["licence"] for row in rows}

    assert digests == found
    assert licences <= {path.name for path in VENDOR.iterdir()}


def _is_code(path: Path) -> bool:
    return path.suffix in (".js", ".css")
