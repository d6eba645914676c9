"""requirements.txt, which a remote build installs, is what pyproject.toml says the service needs."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def expanded(extra: str, extras: dict[str, list[str]]) -> set[str]:
    """Third-party requirements of an extra, those of its own extras included."""
    found: set[str] = set()
    for requirement in extras[extra]:
        name, bracket, rest = requirement.partition("[")
        inner = rest.rstrip("]").split(",") if bracket and name == "jobq" else []
        found |= {wanted for other in inner for wanted in expanded(other, extras)} if inner else {requirement}
    return found


def test_requirements_of_the_function_app_are_those_of_the_service_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()

    required = [line for line in lines if line and not line.startswith("#")]

    assert required == sorted({*project["dependencies"], *expanded("service", project["optional-dependencies"])})
