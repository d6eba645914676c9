"""The same commands over HTTP, against the control plane itself, started by `jobq serve`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.backend import Backend, direct_address
from jobq.errors import BadInput
from jobq.model.address import Address, parse_address
from jobq.settings import Settings
from tests.cli.by_hand import FAILED, OK, end_jobs
from tests.cli.terminal import Terminal, run_process, served


@pytest.fixture
def url() -> Iterator[str]:
    """The address of realm demo over HTTP."""
    with served() as url:
        yield url


def test_what_is_asked_over_http_is_answered_as_directly(url: str, terminal: Terminal) -> None:
    lines = 'echo 1\necho 2\n{"x": [1, "ü"]}\n'
    assert terminal(url, "push", "--batch", "b1", "--tag", "a/b ü", "--lane", "7", given=lines).code == 0
    end_jobs(1, OK, log=b"one\n")
    end_jobs(1, FAILED)
    for question in (
        ("status", "-o", "json"),
        ("status", "tag", "a/b ü", "-o", "json"),
        ("status", "batch", "b1", "-o", "json"),
        ("jobs", "--tag", "a/b ü", "--state", "failed", "-o", "json"),
        ("show", "b1-000002", "-o", "json"),
        ("logs", "b1-000001"),
        ("logs", "b1-000001", "--since", "1h"),
        ("logs", "b1-000001", "--since", "2999-01-01"),
        ("logs", "b1-000001", "-f", "--since", "1h"),
        ("wait", "b1-000001"),
        ("list",),
    ):
        assert terminal(url, *question) == terminal(*question)


def test_jobs_are_changed_over_http(url: str, terminal: Terminal, backend: Backend) -> None:
    terminal(url, "push", "--batch", "b1", given="echo 1\necho 2\necho 3\n")
    assert terminal(url, "cancel", "b1-000001").err == "cancelled 1 job\n"
    assert terminal(url, "retry", "--all").err == "queued 1 job again\n"
    assert terminal(url, "cancel", "nope").code == 3
    assert terminal(url, "retry", "b1-000001").code == 1
    assert terminal(url, "sweep").code == 0
    assert terminal(url, "clear", "0", "--yes").err == "removed 3 jobs\n"
    assert backend.total()["total"] == 0


def test_a_push_repeated_over_http_finds_what_is_there(url: str, terminal: Terminal) -> None:
    terminal(url, "push", "--batch", "b1", given="true\n" * 1200)
    answer = terminal(url, "push", "--batch", "b1", "-o", "json", given="true\n" * 1201)
    document = json.loads(answer.out)
    assert (document["queued"], document["exists"]) == (1, 1200)


def test_a_worker_is_told_where_the_queue_is(url: str) -> None:
    direct = direct_address(parse_address(url), Settings())
    assert str(direct) == f"local:{Path.cwd()}/q/demo"


def test_a_worker_on_another_machine_is_not_sent_to_a_folder_of_its_own(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.http.HttpBackend.where", lambda backend: {"address": "local:/nowhere/demo"})
    with pytest.raises(BadInput, match="run workers there"):
        direct_address(parse_address(url), Settings())


@pytest.mark.parametrize(
    "told",
    [
        {"address": "x.elsewhere.example/demo"},
        {"address": "sb://x.elsewhere.example/demo", "tables": "mystorage"},
        {"address": "sb://mybus/demo", "tables": "x.core.windows.net.elsewhere.example"},
    ],
    ids=["account", "namespace", "tables"],
)
def test_a_worker_sends_no_login_where_a_service_alone_tells_it_to(
    told: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobq.http.HttpBackend.where", lambda backend: told)
    with pytest.raises(BadInput, match="no login is sent"):
        direct_address(parse_address(url), Settings())


def test_an_address_that_is_direct_is_taken_as_it_is() -> None:
    address: Address = parse_address("local:./q/demo")
    assert direct_address(address, Settings()) is address


def test_files_are_pushed_over_http_and_once(url: str, terminal: Terminal) -> None:
    Path("run.sh").write_text("#!/bin/sh\nwc -c big\n")
    Path("run.sh").chmod(0o755)
    Path("big").write_bytes(random.Random(0).randbytes(9_000_000))  # more than a request may have
    push = (url, "push", "--file", "run.sh", "--file", "big", "-c", "./run.sh")

    first, second = terminal(*push, "--batch", "a"), terminal(*push, "--batch", "b")

    assert "Stored 2 files (9,000,020 bytes) for the jobs" in first.err
    assert "2 files for the jobs, stored before" in second.err
    assert run_process(url, "worker").out.splitlines() == ["[a-000001] 9000000 big", "[b-000001] 9000000 big"]
