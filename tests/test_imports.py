"""The arrows of the architecture, read off the code: who may import whom, and who may touch the outside."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
AROUND = ("jobq.settings", "jobq.connect", "jobq.telemetry")
LAYERS = {
    "jobq_service": ("jobq",),
    "jobq.cli": ("jobq.cli", "jobq.worker", "jobq.core", "jobq.model", "jobq.errors", *AROUND),
    "jobq.worker": ("jobq.worker", "jobq.sync", "jobq.core", "jobq.model", "jobq.errors", *AROUND),
    "jobq.sync": ("jobq.sync", "jobq.core", "jobq.model", "jobq.errors", *AROUND),
    "jobq.core": ("jobq.core", "jobq.model", "jobq.errors"),
    "jobq.adapters": ("jobq.adapters", "jobq.core.ports", "jobq.model", "jobq.errors"),
    "jobq.model": ("jobq.model", "jobq.errors"),
    "jobq.errors": (),
}
CLIENT = (
    "jobq.__version__",
    "jobq.backend",
    "jobq.client",
    "jobq.direct",
    "jobq.doctor",
    "jobq.http",
    "jobq.reading",
    "jobq.shipping",
    "jobq.unpacking",
    "jobq.waiting",
)
"""What the command line shares with the Python client."""


def files() -> Iterator[tuple[str, Path]]:
    for package in (ROOT / "client" / "jobq", ROOT / "jobq_service"):
        for path in sorted(package.rglob("*.py")):
            relative = path.relative_to(package.parent).with_suffix("")
            yield ".".join(part for part in relative.parts if part != "__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_what_is_below_it(layer: str) -> None:
    # given
    allowed = LAYERS[layer] + (CLIENT if layer == "jobq.cli" else ())

    # when
    wrong = [
        f"{module} imports {name}"
        for module, path in files()
        if is_in(module, layer)
        for name in imports(path)
        if name.split(".")[0] in ("jobq", "jobq_service")
        and not is_in(name, layer)
        and not any(name.startswith(package) for package in allowed)
    ]

    # then
    assert wrong == []


def test_only_adapters_import_azure_libraries() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in files()
        for name in imports(path)
        if name.split(".")[0] in ("azure", "aiohttp") and not is_in(module, "jobq.adapters")
    ]
    assert [line for line in wrong if "azure.functions" not in line] == []


PROGRAMS = ("jobq.worker.call", "jobq.worker.supervisor")
"""Run in processes of their own, whose environment a worker makes."""


def test_supervisor_imports_nothing_of_jobq() -> None:
    assert [name for name in imports(dict(files())["jobq.worker.supervisor"]) if name.startswith("jobq")] == []


def test_only_settings_read_the_environment() -> None:
    readers = {
        module
        for module, path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and module not in PROGRAMS
    }
    assert readers <= {"jobq.settings", "jobq_service.settings"}


@pytest.mark.parametrize("what", ["import jobq", "import jobq.cli.main"])
def test_importing_jobq_loads_no_library_that_is_not_needed_yet(what: str) -> None:
    # given
    heavy = (
        "azure",
        "aiohttp",
        "requests",
        "rich",
        "fastapi",
        "uvicorn",
        "jobq.worker",
        "jobq.adapters",
        "opentelemetry",
    )
    code = f"import sys; {what}; print([m for m in {heavy!r} if m in sys.modules])"

    # when
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    # then
    assert loaded.stdout.strip() == "[]"


def test_files_do_nothing_when_they_are_imported(tmp_path: Path) -> None:
    # given
    modules = [name for name, _ in files() if not name.endswith("__main__")]
    code = f"import importlib; [importlib.import_module(name) for name in {modules!r}]"

    # when
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)

    # then
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
