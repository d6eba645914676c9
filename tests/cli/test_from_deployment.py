"""`jobq config from-deployment`: from what `az` prints of a deployment to a file that jobq reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Terminal

SAMPLE = Path(__file__).with_name("outputs.json")
"""As `az deployment group show --query properties.outputs -o json` prints it, with its ways with capitals."""


def outputs(**changes: str) -> str:
    sample: dict[str, Any] = {name.upper(): output for name, output in json.loads(SAMPLE.read_text()).items()}
    return json.dumps(sample | {name: {"type": "String", "value": value} for name, value in changes.items()})


def shown(terminal: Terminal) -> dict[str, str]:
    settings = json.loads(terminal("config", "show", "-o", "json").out)["settings"]
    return {entry["name"]: entry["value"] for entry in settings}


def test_a_deployment_becomes_a_file_that_jobq_reads(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    # when
    answer = terminal("config", "from-deployment", str(SAMPLE), "--write", ".jobq.toml")
    monkeypatch.delenv("JOBQ")
    # then
    assert answer.code == 0
    assert "try it with `jobq doctor`" in answer.err
    assert shown(terminal) == {"queue": "labdatax7k2/default"}


def test_it_is_printed_where_nothing_is_to_be_written(terminal: Terminal) -> None:
    answer = terminal("config", "from-deployment", "-", given=SAMPLE.read_bytes())
    assert answer.code == 0
    assert answer.out.splitlines() == [
        'queue = "labdatax7k2/default"',
        "# Over HTTP, with a key in JOBQ_KEY and no roles: https://lab-func-x7k2.azurewebsites.net/api/default",
    ]
    assert not Path(".jobq.toml").exists()


def test_service_bus_brings_the_account_of_its_rows(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    given = outputs(JOBQ="sb://lab-bus/default", JOBQ_SERVICEBUS="lab-bus")
    assert terminal("config", "from-deployment", "-", "--write", ".jobq.toml", given=given).code == 0
    monkeypatch.delenv("JOBQ")
    assert shown(terminal) == {"queue": "sb://lab-bus/default", "tables": "labdatax7k2"}


def test_another_realm_and_the_control_plane_may_be_chosen(terminal: Terminal) -> None:
    answer = terminal("-r", "exp8", "config", "from-deployment", str(SAMPLE), "--http")
    assert 'queue = "https://lab-func-x7k2.azurewebsites.net/api/exp8"' in answer.out


def test_the_whole_deployment_does_as_well_as_its_outputs(terminal: Terminal) -> None:
    given = json.dumps({"name": "main", "properties": {"outputs": json.loads(SAMPLE.read_text())}})
    assert "labdatax7k2/default" in terminal("config", "from-deployment", "-", given=given).out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "this is no JSON"),
        ("ERROR: not found", "this is no JSON"),
        ("\xff\xfe", "this is no JSON"),
        ("[]", "no outputs by their names"),
        ("null", "the deployment has no outputs"),
        ('{"properties": {"outputs": null}}', "the deployment has no outputs"),
        ("{}", "the outputs lack JOBQ (they have nothing)"),
        ('{"storageName": {"value": "x"}}', "the outputs lack JOBQ (they have STORAGENAME)"),
        (outputs(JOBQ=""), "the outputs lack JOBQ"),
        (outputs(JOBQ="sb://lab-bus/default", JOBQ_TABLES=""), "the outputs lack JOBQ_TABLES"),
        (outputs(JOBQ="labdatax7k2"), "the output JOBQ is not what it should be"),
        (outputs(JOBQ="local:/tmp/q"), "the output JOBQ is not what it should be"),
        (outputs(JOBQ_API_URL="lab-func.azurewebsites.net"), "the output JOBQ_API_URL is not what it should be"),
    ],
)
def test_what_is_missing_or_wrong_is_named(given: str, said: str, terminal: Terminal) -> None:
    answer = terminal("config", "from-deployment", "-", given=given.encode("latin-1"))
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert len(answer.err.splitlines()) == 1


def test_http_without_a_control_plane_is_refused(terminal: Terminal) -> None:
    answer = terminal("config", "from-deployment", "-", "--http", given=outputs(JOBQ_API_URL=""))
    assert answer.code == 2
    assert "lack JOBQ_API_URL" in answer.err


def test_a_file_that_is_there_is_kept(terminal: Terminal) -> None:
    Path(".jobq.toml").write_text('queue = "local:./q/mine"\n')
    answer = terminal("config", "from-deployment", str(SAMPLE), "--write", ".jobq.toml")
    assert answer.code == 2
    assert ".jobq.toml is there already" in answer.err
    assert Path(".jobq.toml").read_text() == 'queue = "local:./q/mine"\n'


def test_a_file_that_came_with_the_folder_does_not_say_where_to_write(terminal: Terminal) -> None:
    Path(".jobq.toml").write_text('[config.from-deployment]\nwrite = "elsewhere.toml"\n')
    answer = terminal("config", "show")
    assert answer.code == 2
    assert "write is not taken from a file that may have come with the folder" in answer.err
