"""`infra/scripts/publish.sh`, with a command in place of `az` that notes what it is asked and refuses as Azure does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.checkout import ROOT, make_checkout, run_with_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GROUP_SHOW = "deployment group show"
UPLOAD = "storage blob upload"
PUBLISH = "functionapp deployment source config-zip"
REFUSED = [1, "", "ERROR: \nYou do not have the required permissions needed to perform this operation.\n"]
NO_PACKAGE = [
    1,
    "",
    "ERROR: An error occured during deployment. Status Code: 403, Details: InaccessibleStorageException\n",
]
FINE = [0, "", ""]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def parameters(checkout: Path) -> dict[str, str]:
    said = run_with_index([str(checkout / "infra/scripts/build.sh")], checkout, PYTHON=sys.executable)
    return dict(line.split("=") for line in said.splitlines())


@pytest.fixture(scope="module")
def built(checkout: Path, parameters: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another checkout, where what is built is there already."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copytree(checkout / "dist", folder / "dist")
    shutil.copytree(checkout / "infra/scripts", folder / "infra/scripts")
    lines = " ".join(f"{name}={value}" for name, value in parameters.items())
    (folder / "infra/scripts/build.sh").write_text(f"#!/bin/sh\nprintf '%s\\n' {lines}\n")
    return folder


@dataclass
class Azure:
    """What `az` is in these tests, and what it was asked."""

    folder: Path
    checkout: Path

    def answer(self, command: str, *answers: list[Any]) -> None:
        known = json.loads((self.folder / "answers.json").read_text())
        (self.folder / "answers.json").write_text(json.dumps({**known, command: answers}))

    def deployment(self, **parameters: str) -> None:
        """As Azure shows it: the case of an output's name is not kept."""
        outputs = {"joBQ_STORAGE": "mydata", "jobQ_WHEEL_CONTAINER": "wheels", "azurE_FUNCTION_NAME": "my-api"}
        parts = [{name: {"value": value} for name, value in part.items()} for part in (parameters, outputs)]
        self.answer(GROUP_SHOW, [0, json.dumps(parts), ""])

    def calls(self, command: str = "") -> list[list[str]]:
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        words = command.split()
        return [call for call in map(json.loads, lines) if call[: len(words)] == words]

    def publish(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run(["infra/scripts/publish.sh", *arguments], **env)

    def run(self, command: list[str], **env: str) -> subprocess.CompletedProcess[str]:
        """In the checkout, as a person does."""
        ours = {"FAKE_AZ": str(self.folder), "PYTHON": sys.executable, "PUBLISH_PAUSE": "0", "PUBLISH_TRIES": "4"}
        path = f"{self.folder}:{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JOBQ", "AZURE"))}
        every = {**kept, **ours, "PATH": path, **env}
        return subprocess.run(command, cwd=self.checkout, env=every, capture_output=True, text=True)


@pytest.fixture
def azure(built: Path, parameters: dict[str, str], tmp_path: Path) -> Azure:
    """Logged in, with a deployment that was told what the checkout has."""
    fake = Path(__file__).with_name("fake_az.py")
    (tmp_path / "az").write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
    (tmp_path / "az").chmod(0o755)
    (tmp_path / "answers.json").write_text("{}")
    (tmp_path / "calls.jsonl").touch()
    azure = Azure(tmp_path, built)
    azure.deployment(workers="vmss", **parameters)
    return azure


def test_wheel_and_code_are_published_once_azure_heeds_the_roles(
    azure: Azure, checkout: Path, parameters: dict[str, str]
) -> None:
    # given
    azure.checkout = checkout
    azure.answer(UPLOAD, REFUSED, REFUSED, FINE)
    azure.answer(PUBLISH, NO_PACKAGE, FINE)

    # when
    done = azure.publish("my-group", "first")

    # then
    assert done.returncode == 0, done.stderr
    assert dict(line.split("=") for line in done.stdout.splitlines()) == parameters
    sent = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in azure.folder.iterdir()}
    assert sent["requirements.txt"] == parameters["requirementsSha256"]
    assert sent[f"jobq-{parameters['jobqVersion']}-py3-none-any.whl"] == parameters["wheelSha256"]
    assert "function_app.py" in zipfile.ZipFile(azure.folder / "app.zip").namelist()
    assert "waiting for your role on the container wheels of mydata: try 2 of 4, the next in 0 s" in done.stderr
    assert "waiting for the roles of my-api's identity on its own storage account: try 1 of 4" in done.stderr


def test_one_command_publishes_the_code_by_remote_build(azure: Azure) -> None:
    azure.publish("my-group", "first")

    (shown,) = azure.calls(GROUP_SHOW)
    (command,) = azure.calls(PUBLISH)
    options = dict(zip(command[4::2], command[5::2], strict=True))
    assert shown[3:7] == ["--resource-group", "my-group", "--name", "first"]
    assert options.pop("--src").endswith("dist/deployment/app.zip")
    assert options == {
        "--resource-group": "my-group",
        "--name": "my-api",
        "--build-remote": "true",
        "--output": "none",
    }


def test_uploads_are_made_as_whoever_is_logged_in(azure: Azure) -> None:
    azure.publish("my-group")

    uploads = azure.calls(UPLOAD)
    assert len(uploads) == 2
    assert {upload[upload.index("--auth-mode") + 1] for upload in uploads} == {"login"}
    assert not [word for upload in uploads for word in upload if "key" in word or "sas" in word]


def test_refusal_without_end_says_which_role_is_missing(azure: Azure) -> None:
    azure.answer(UPLOAD, REFUSED)

    done = azure.publish("my-group")

    assert done.returncode == 4
    assert len(azure.calls(UPLOAD)) == 4
    assert azure.calls(PUBLISH) == []
    assert "az role assignment create --assignee YOU --role 'Storage Blob Data Contributor'" in done.stderr
    assert "/blobServices/default/containers/wheels" in done.stderr


def test_what_no_role_mends_is_not_tried_again(azure: Azure) -> None:
    azure.answer(UPLOAD, [3, "", "ERROR: The specified container does not exist.\nErrorCode:ContainerNotFound\n"])

    done = azure.publish("my-group")

    assert done.returncode == 1
    assert len(azure.calls(UPLOAD)) == 1
    assert "ContainerNotFound" in done.stderr


def test_wheel_that_workers_would_refuse_is_not_uploaded(azure: Azure, parameters: dict[str, str]) -> None:
    azure.deployment(**{**parameters, "workers": "vmss", "wheelSha256": "0" * 64})

    done = azure.publish("my-group")

    assert done.returncode == 1
    assert azure.calls(UPLOAD) == azure.calls(PUBLISH) == []
    assert "wheelSha256=000" in done.stderr
    assert "Deploy again with `-p $(infra/scripts/build.sh)`" in done.stderr


def test_deployment_without_a_fleet_needs_no_hash(azure: Azure) -> None:
    azure.deployment(workers="none", jobqVersion="0.0.1", wheelSha256="", requirementsSha256="")

    assert azure.publish("my-group").returncode == 0


@pytest.mark.parametrize(("part", "calls"), [("wheel", (2, 0)), ("code", (0, 1))])
def test_hook_of_azd_publishes_a_part_by_what_the_outputs_say(azure: Azure, part: str, calls: tuple[int, int]) -> None:
    outputs = {"JOBQ_STORAGE": "mydata", "JOBQ_WHEEL_CONTAINER": "wheels"}
    app = {"AZURE_RESOURCE_GROUP": "my-group", "AZURE_FUNCTION_NAME": "my-api"}

    done = azure.publish("--only", part, **outputs, **app)

    assert done.returncode == 0, done.stderr
    assert (len(azure.calls(UPLOAD)), len(azure.calls(PUBLISH))) == calls


def test_nothing_known_of_the_deployment_is_an_error(azure: Azure) -> None:
    done = azure.publish()

    assert done.returncode == 1
    assert "JOBQ_STORAGE is not known" in done.stderr


@pytest.mark.parametrize(
    ("command", "complaint", "advice"),
    [
        ("account show", "ERROR: Please run 'az login' to setup account.\n", "run `az login`"),
        (GROUP_SHOW, "ERROR: (DeploymentNotFound)\n", "az deployment group list -g my-group"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_built(
    azure: Azure, command: str, complaint: str, advice: str
) -> None:
    azure.answer(command, [1, "", complaint])

    done = azure.publish("my-group")

    assert (done.returncode, done.stdout) == (1, "")
    assert complaint in done.stderr
    assert advice in done.stderr


@pytest.mark.parametrize("arguments", [("--only",), ("--only", "all"), ("--wheel",), ("a", "b", "c")])
def test_wrong_usage_says_what_is_right(azure: Azure, arguments: tuple[str, ...]) -> None:
    done = azure.publish(*arguments)

    assert done.returncode == 2
    assert "usage: infra/scripts/publish.sh [--only wheel|code] [RESOURCE_GROUP [DEPLOYMENT]]" in done.stderr
    assert azure.calls() == []


def test_page_leads_from_an_empty_subscription_to_a_deployment(azure: Azure, parameters: dict[str, str]) -> None:
    page = (ROOT / "docs/deployment.md").read_text().partition("## 5.")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    done = azure.run(["sh", "-euc", "".join(blocks)])

    assert done.returncode == 0, done.stderr
    (created,) = azure.calls("deployment group create")
    assert created[-3:] == [f"{name}={value}" for name, value in parameters.items()]
    assert len(azure.calls(UPLOAD)) == 2
    assert len(azure.calls(PUBLISH)) == 2
    assert {call[-1] for call in azure.calls("provider register")} >= {"Microsoft.App", "Microsoft.Storage"}
