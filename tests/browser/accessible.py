"""axe-core, in a page as it is. Missing: a skip at home, an error in CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

_SCRIPT = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
_GRAVE = ("serious", "critical")


async def obstacles(page: Page) -> list[str]:
    """What is serious or critical: the rule, and where."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_axe())
    found: list[dict[str, Any]] = await page.evaluate("axe.run().then((found) => found.violations)")
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in found
        if rule["impact"] in _GRAVE
        for node in rule["nodes"]
    ]


def _axe() -> str:
    if _SCRIPT.exists():
        return _SCRIPT.read_text()
    missing = "axe-core is not installed: run `npm ci` at the top of the repository"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
