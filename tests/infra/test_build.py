"""`infra/scripts/build.sh`: the wheel, its requirements and the code, and the hashes that a deployment is told."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.infra.checkout import LOCK, PRIVATE, ROOT, left_by_funcignore, make_checkout, run_with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PIN = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)
SCRIPTS = sorted((ROOT / "infra/scripts").glob("*.sh"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def said(checkout: Path) -> str:
    return run_with_index([str(checkout / "infra/scripts/build.sh")], checkout, PYTHON=sys.executable)


@pytest.fixture(scope="module")
def built(checkout: Path, said: str) -> Path:
    return checkout / "dist/deployment"


def test_build_prints_the_parameters_of_what_it_has_built(said: str, built: Path) -> None:
    (wheel,) = built.glob("*.whl")

    parameters = dict(line.split("=") for line in said.splitlines())

    assert parameters == {
        "jobqVersion": wheel.name.removeprefix("jobq-").removesuffix("-py3-none-any.whl"),
        "wheelSha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "requirementsSha256": hashlib.sha256((built / "requirements.txt").read_bytes()).hexdigest(),
    }


def test_code_is_what_funcignore_leaves_of_the_checkout(checkout: Path, built: Path) -> None:
    with zipfile.ZipFile(built / "app.zip") as package:
        packed = sorted(name for name in package.namelist() if not name.endswith("/"))

    assert packed == left_by_funcignore(checkout)


def test_wheel_holds_both_packages_and_nothing_private(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    assert {name.split("/")[0].split("-")[0] for name in names} == {"jobq", "jobq_service"}
    assert {"jobq/cli/main.py", "jobq_service/app.py", "jobq_service/static/index.html"} <= {*names}
    assert not {path.removeprefix("client/") for path in PRIVATE} & {*names}


def test_machine_installs_the_wheel_beside_its_requirements_by_hash(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    uv = [sys.executable, "-m", "uv"]
    install = [*uv, "pip", "install", "--quiet", "--python", "venv"]

    run_with_index([*uv, "venv", "--quiet", "--python", sys.executable, "venv"], tmp_path)
    run_with_index([*install, "--require-hashes", "--requirements", str(built / "requirements.txt")], tmp_path)
    run_with_index([*install, "--no-deps", "--no-index", str(wheel)], tmp_path)

    run_with_index([*uv, "pip", "check", "--python", "venv"], tmp_path)
    modules = "jobq.worker.run, jobq.adapters.azure, jobq.adapters.service_bus_stack"
    run_with_index([str(tmp_path / "venv/bin/python"), "-I", "-W", "error", "-c", f"import {modules}"], tmp_path)
    assert run_with_index([str(tmp_path / "venv/bin/jobq"), "--version"], tmp_path).startswith("jobq")


def test_requirements_of_a_machine_are_the_versions_that_tests_run_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"]["azure"]
    wanted = {re.split(r"[<>=]", line)[0] for line in lines}

    pins = dict(PIN.findall((ROOT / "infra/requirements.txt").read_text()))

    assert wanted <= pins.keys()
    assert pins.items() <= dict(PIN.findall(LOCK.read_text())).items()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_plain_sh(script: Path) -> None:
    """For every `sh`, and by shellcheck. Missing: a skip at home, an error in CI."""
    assert script.read_text().startswith("#!/bin/sh\n")
    assert os.access(script, os.X_OK)
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None and not os.environ.get("CI"):
        pytest.skip("shellcheck is not installed")
    assert shellcheck, "shellcheck is not installed"
    done = subprocess.run([shellcheck, script], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()
