"""cloud-init's own schema, and Azure ML's own loader, on what workers are started with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.conftest import FOLDER
from tests.infra.rules.book import Infra
from tests.infra.rules.fleet import SCALE_SET, cloud_config

TOOLS = FOLDER.parent / ".infra-tools"
SCHEMA = TOOLS / "cloud-init/usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"
AZURE_ML = TOOLS / "azure-ai-ml"
LOAD = """
import sys
from azure.ai.ml import load_compute, load_job
{"compute": load_compute, "job": load_job}[sys.argv[1]](sys.argv[2])
"""


def must_be_there(path: Path) -> None:
    """Missing: a skip at home, an error in CI."""
    if path.exists():
        return
    message = f"{path.relative_to(FOLDER.parent)} is missing; `make .infra-tools/.done` makes it"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def problems_of_cloud_config(config: dict[str, Any]) -> list[str]:
    """What cloud-init's schema says, which lets unknown keys at the top pass, and those keys."""
    must_be_there(SCHEMA)
    with warnings.catch_warnings():  # the schema is of an older draft, and says so with a date
        warnings.simplefilter("ignore", DeprecationWarning)
        import jsonschema

        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        errors = [error.message for error in jsonschema.Draft4Validator(schema).iter_errors(config)]
    known = {key for part in schema["$defs"].values() for key in part.get("properties", {})}
    return errors + sorted(set(config) - known)


@pytest.fixture(scope="module")
def config(infra: Infra) -> dict[str, Any]:
    """What an instance reads, with all marks filled in."""
    return cloud_config(next(infra.plans["spot machines"].of_type(SCALE_SET)))


def test_cloud_init_takes_what_the_scale_set_gives_it(config: dict[str, Any]) -> None:
    assert problems_of_cloud_config(config) == []


def test_cloud_config_file_is_plain_yaml_that_names_itself() -> None:
    text = (FOLDER / "cloud-init/worker.yaml").read_text(encoding="utf-8")

    assert text.startswith("#cloud-config\n")
    assert problems_of_cloud_config(yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "fault",
    [{"runcmds": []}, {"package_update": "often"}, {"write_files": [{"content": "x"}]}, {"users": [{"nme": "x"}]}],
    ids=str,
)
def test_schema_finds_the_fault(config: dict[str, Any], fault: dict[str, Any]) -> None:
    assert problems_of_cloud_config({**config, **fault}) != []


def loaded(kind: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Azure ML's library on a file, in a process of its own: it and what it needs are not of this environment."""
    must_be_there(AZURE_ML)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, kind, path],
        capture_output=True,
        text=True,
        timeout=100,
        env={"PATH": os.environ["PATH"], "HOME": str(path.parent), "PYTHONPATH": str(AZURE_ML)},
    )


@pytest.mark.parametrize(("kind", "file"), [("compute", "compute.yml"), ("job", "worker-job.yml")])
def test_azure_ml_loads_the_file_and_finds_a_fault_in_it(kind: str, file: str, tmp_path: Path) -> None:
    right, wrong = FOLDER / "aml" / file, tmp_path / file
    wrong.write_text(right.read_text(encoding="utf-8").replace("\nidentity:", "\nidentitty:"), encoding="utf-8")

    assert loaded(kind, right).stderr == ""
    assert "identitty" in loaded(kind, wrong).stderr
