"""The function app as a remote build makes it: what `.funcignore` leaves, and its requirements in a folder beside it.

Every function is then indexed and invoked from there by the library that runs them in Azure, on the Python that runs
there, in an environment that has that library and nothing else.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobq_service.dashboard import MEDIA_TYPES
from tests.azurite import ACCOUNT, Azurite
from tests.infra.checkout import PRIVATE, ROOT, left_by_funcignore, make_checkout, run_with_index
from tests.service.functions_host import FunctionsHost, python_with_runtime, running_host
from tests.service_bus import broker_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PACKAGES = ".python_packages/lib/site-packages"
CALLS = {
    "enqueue": ("POST", "/api/enqueue/{realm}/jobs", {"batch": "b1", "jobs": [{"cmd": "true"}]}),
    "status": ("GET", "/api/status/{realm}/total", None),
    "checkout": ("POST", "/api/checkout/{realm}/jobs", {"lease": 60}),
    "manage": ("POST", "/api/manage/{realm}/sweep", None),
    "health": ("GET", "/api/health", None),
    "dashboard": ("GET", "/dashboard/", None),
}
"""One request for each function that has a route."""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Python 3.13 with the runtime library alone. Missing: a skip at home, an error in CI."""
    known = python_with_runtime("3.13")
    if known is None and os.environ.get("CI"):
        pytest.fail("there is no Python 3.13 to build the package with")
    if known is None:
        pytest.skip("no Python 3.13 to build the package with: see tests/service/test_functions_runtime.py")
    folder = tmp_path_factory.mktemp("runtime")
    pins = re.search(r"^RUNTIME := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pins
    run_with_index([known, "-m", "venv", "venv"], folder)
    python = str(folder / "venv/bin/python")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    run_with_index([*uv, *pins[1].split()], folder)
    return python


@pytest.fixture(scope="module")
def package(checkout: Path, python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command is that of Oryx, which a remote build is (PythonBashBuildSnippet.sh.tpl)."""
    folder = tmp_path_factory.mktemp("package")
    for path in left_by_funcignore(checkout):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(checkout / path, folder / path)
    build = ["install", "--prefer-binary", "-r", "requirements.txt", f"--target={PACKAGES}", "--upgrade"]
    run_with_index([python, "-m", "pip", *build], folder)
    return folder


@contextmanager
def stacks(azurite: Azurite) -> Iterator[dict[str, dict[str, str]]]:
    """The app settings of a deployment, on Azurite alone and with the loopback broker."""
    storage = {"JOBQ_STORAGE": ACCOUNT, "JOBQ_CONNECTION_STRING": azurite.connection_string}
    with broker_process() as (_, bus):
        yield {
            "storage": storage,
            "servicebus": {**storage, "JOBQ_SERVICEBUS": "mybus", "JOBQ_SERVICEBUS_CONNECTION_STRING": bus},
        }


def call_each_function(host: FunctionsHost, realm: str) -> None:
    timers = [name for name, (trigger, *_) in host.functions.items() if trigger["type"] == "timerTrigger"]
    assert {*CALLS, *timers} == {*host.functions}
    answers = {name: host.http(method, path.format(realm=realm), body) for name, (method, path, body) in CALLS.items()}
    assert {name: answer.status for name, answer in answers.items()} == dict.fromkeys(CALLS, 200)
    assert [job["id"] for job in answers["checkout"].json()["jobs"]] == ["b1-000001"]
    assert [name for name in timers if not host.timer(name).is_ok] == []


def test_package_is_the_app_and_nothing_else(checkout: Path) -> None:
    packed = left_by_funcignore(checkout)

    ours = {path for path in packed if path.startswith(("client/jobq/", "jobq_service/"))}
    assert set(packed) - ours == {"function_app.py", "host.json", "requirements.txt"}
    page = {path for path in ours if path.startswith("jobq_service/static/")}
    assert {Path(path).suffix for path in ours - page} == {".py", ".typed"}
    assert {Path(path).suffix for path in page} <= {*MEDIA_TYPES}
    assert not {*PRIVATE} & {*packed}


def test_no_source_file_is_left_behind(checkout: Path) -> None:
    packed = left_by_funcignore(checkout)

    sources = [path for part in ("client/jobq", "jobq_service") for path in (ROOT / part).rglob("*.py")]
    sources += [path for path in (ROOT / "jobq_service/static").rglob("*") if path.is_file()]
    assert {str(path.relative_to(ROOT)) for path in sources} <= {*packed}


def test_every_function_answers_from_what_the_build_has_made(
    package: Path, python: str, azurite_process: Azurite
) -> None:
    installed = {path.name for path in (package / PACKAGES).iterdir()}

    assert {"azure", "fastapi", "aiohttp"} <= installed
    assert not [name for name in installed if name.startswith("jobq")]  # it would hide the jobq beside the app
    with stacks(azurite_process) as each:
        for name, settings in each.items():
            with running_host(python, {"PYTHONPATH": str(package / PACKAGES), **settings}, app=package) as host:
                call_each_function(host, f"package-{name}")
