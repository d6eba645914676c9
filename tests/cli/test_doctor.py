"""`jobq doctor`, as a process: on a folder, on Azurite behind a proxy that refuses, over HTTP, and on Service Bus."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobq import __version__
from tests.azurite import ACCOUNT, KEY, Azurite
from tests.broker import Broker, Refuse
from tests.cli.stub_service import Asked, Reply, StubService
from tests.cli.terminal import RUN, Terminal, environment, run_process, served
from tests.fault_proxy import FaultProxy, Say, running_proxy

EXP = f"{ACCOUNT}/exp7"
AZURE = ["version", "latency", "clock", "login", "table", "blob", "queue"]


@pytest.fixture
async def proxy(azurite_process: Azurite) -> AsyncIterator[FaultProxy]:
    async with running_proxy(azurite_process) as proxy:
        yield proxy


async def doctor(address: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, the checks by name, and all that was said. What runs in this loop goes on meanwhile."""
    code, out, err = await run(address, "doctor", "-o", "json", **variables)
    checks = json.loads(out)["checks"] if out else []
    return code, {check["name"]: check for check in checks}, out + err


async def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
    pipe = asyncio.subprocess.PIPE
    env = {**environment(), **variables}
    process = await asyncio.create_subprocess_exec(*RUN, *arguments, env=env, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def states(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["state"] for name, check in checks.items()}


def rows(store: Path) -> dict[str, int]:
    with closing(sqlite3.connect(store)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}


def test_a_folder_is_tried_out_and_left_as_it_was(terminal: Terminal) -> None:
    # given
    terminal("push", "-c", "true")
    folder = Path("q")
    before = sorted(folder.rglob("*")), rows(folder / "jobq.sqlite3")
    # when
    answer = terminal("doctor")
    # then
    assert answer.code == 0
    assert [line.split()[:2] for line in answer.out.splitlines()[1:]] == [
        [name, "ok"] for name in ("version", "folder", "table", "blob", "queue")
    ]
    assert answer.err == ""
    assert (sorted(folder.rglob("*")), rows(folder / "jobq.sqlite3")) == before


def test_a_folder_that_is_not_there_is_not_made(terminal: Terminal) -> None:
    answer = terminal("doctor")
    assert answer.code == 0
    assert "warning" in answer.out
    assert "the first push makes it" in answer.err
    assert not Path("q").exists()


def test_a_file_in_place_of_the_folder_fails(terminal: Terminal) -> None:
    Path("q").write_text("")
    answer = terminal("doctor")
    assert answer.code == 1
    assert "is a file; name a folder" in answer.err
    assert "error: 1 check of 2 failed: folder" in answer.err


async def test_an_account_that_was_never_used_is_left_without_anything_new(proxy: FaultProxy) -> None:
    code, checks, said = await doctor(EXP, JOBQ_CONNECTION_STRING=proxy.connection_string)

    assert (code, states(checks)) == (0, dict.fromkeys(AZURE, "ok")), said
    sent = [line for line in proxy.seen if "/messages?" in line and line.startswith("POST")]
    deleted = [line for line in proxy.seen if "/messages/" in line and line.startswith("DELETE")]
    assert (len(sent), len(deleted)) == (1, 1)
    assert KEY not in said


@pytest.mark.parametrize(
    ("request_line", "check", "what"),
    [
        ("/messages/", "queue", "renew the lease of a message"),
        ("peekonly", "queue", "look at the messages"),
        ("comp=metadata", "queue", "count the messages"),
        ("PATCH", "table", "commit 1 changes"),
        ("$batch", "table", "commit 1 changes"),
        ("comp=appendblock", "blob", "append to"),
        ("restype=container&comp=list", "blob", "list blobs"),
    ],
)
async def test_each_right_that_is_missing_fails_its_check_and_no_other(
    proxy: FaultProxy, request_line: str, check: str, what: str
) -> None:
    proxy.break_next(*[Say(403, "AuthorizationPermissionMismatch")] * 9, only=request_line)

    code, checks, said = await doctor(EXP, JOBQ_CONNECTION_STRING=proxy.connection_string)

    assert code == 4, said
    assert [name for name, state in states(checks).items() if state != "ok"] == [check]
    assert f"does not allow to {what} " in checks[check]["detail"]


async def test_a_service_in_another_time_is_a_warning_and_then_a_failure(proxy: FaultProxy) -> None:
    old = Say(400, headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})
    proxy.break_next(*[old] * 4, only="HEAD / ")
    proxy.only = "HEAD /"

    code, checks, _ = await doctor(EXP, JOBQ_CONNECTION_STRING=proxy.connection_string)

    assert (code, checks["clock"]["state"]) == (1, "failed")
    assert "s ahead of that of 127.0.0.1" in checks["clock"]["detail"]


async def test_what_does_not_answer_ends_with_9_and_is_not_asked_again() -> None:
    code, checks, _ = await doctor(EXP, JOBQ_CONNECTION_STRING=Azurite.at(1, 1, 1))

    assert (code, [*checks]) == (9, ["version", "latency"])
    assert "Connection refused" in checks["latency"]["detail"]


async def test_service_bus_is_tried_out_without_a_message_for_anybody(broker: Broker, azurite: str) -> None:
    code, checks, said = await doctor(
        "sb://test/exp7",
        JOBQ_TABLES=ACCOUNT,
        JOBQ_CONNECTION_STRING=azurite,
        JOBQ_SERVICEBUS_CONNECTION_STRING=broker.connection_string,
    )

    assert code == 0, said
    assert [*checks][-2:] == ["servicebus send", "servicebus receive"]
    assert (broker.counts["scheduled"], broker.counts["cancelled"], broker.counts["management"]) == (1, 1, 3)
    assert (broker.counts["sent"], broker.counts["delivered"]) == (0, 0)
    assert broker.connection_string not in said


async def test_each_lane_of_the_realm_has_its_queue_tried(azurite: str) -> None:
    realm = f"{ACCOUNT}/exp9"
    pushed = await run(realm, "push", "-c", "true", "--lane", "5", "--lane", "0", JOBQ_CONNECTION_STRING=azurite)

    code, checks, said = await doctor(realm, JOBQ_CONNECTION_STRING=azurite)

    assert (pushed[0], code) == (0, 0), said
    assert [*checks][-2:] == ["queue", "queue, lane 5"]
    assert checks["queue, lane 5"]["detail"].endswith("in queue exp9-lane-5")


async def test_a_realm_that_was_only_set_has_its_queue_tried(azurite: str) -> None:
    realm = f"{ACCOUNT}/exp10"
    done = await run(realm, "realm", "set", "--lease", "1h", JOBQ_CONNECTION_STRING=azurite)

    code, checks, said = await doctor(realm, JOBQ_CONNECTION_STRING=azurite)

    assert (done[0], code) == (0, 0), said
    assert [*checks][-1] == "queue"


async def test_a_lane_without_a_queue_is_named_with_the_command_that_makes_it(broker: Broker, azurite: str) -> None:
    broker.fault("attach", Refuse("amqp:not-found"), queue="exp7", times=99)

    code, checks, _ = await doctor(
        "sb://test/exp7",
        JOBQ_TABLES=ACCOUNT,
        JOBQ_CONNECTION_STRING=azurite,
        JOBQ_SERVICEBUS_CONNECTION_STRING=broker.connection_string,
    )

    assert code == 1
    assert "az servicebus queue create" in checks["servicebus send"]["detail"]


async def test_a_bus_that_refuses_fails_its_checks(broker: Broker, azurite: str) -> None:
    broker.fault("attach", Refuse("amqp:unauthorized-access"), times=99)

    code, checks, _ = await doctor(
        "sb://test/exp7",
        JOBQ_TABLES=ACCOUNT,
        JOBQ_CONNECTION_STRING=azurite,
        JOBQ_SERVICEBUS_CONNECTION_STRING=broker.connection_string,
    )

    assert code == 4
    assert {checks["servicebus send"]["state"], checks["servicebus receive"]["state"]} == {"failed"}
    assert checks["table"]["state"] == "ok"


def test_the_control_plane_is_asked_once_for_each_key_and_left_as_it_was(terminal: Terminal) -> None:
    with served() as url:
        before = rows(Path("q/jobq.sqlite3")) if Path("q/jobq.sqlite3").exists() else {}
        answer = terminal(url, "doctor", "-o", "json")
        after = rows(Path("q/jobq.sqlite3"))
    checks = {check["name"]: check for check in json.loads(answer.out)["checks"]}
    assert answer.code == 0
    assert set(states(checks).values()) == {"ok"}
    assert [name for name in checks if name.endswith(" key")] == [
        "enqueue key",
        "status key",
        "manage key",
        "checkout key",
    ]
    assert {name: number for name, number in after.items() if name != "version"} == {
        name: before.get(name, 0) for name in after if name != "version"
    }


KEYS = {"enqueue": "an-enqueue-key-of-mine", "status": "a-status-key-of-mine"}


def functions_host(asked: Asked) -> Reply:
    """Answers those who have the key, and says nothing to others, as a Functions host does."""
    privilege = asked.path.removeprefix("/api/").split("/")[0]
    if privilege == "health":
        return Reply(document={"status": "ok", "version": __version__})
    if asked.headers.get("x-functions-key") != KEYS.get(privilege, "nobody's"):
        return Reply(401)
    return Reply(document={"address": "lab/exp7", "tables": "", "missing": []})


def test_keys_that_are_set_have_to_be_right_and_those_that_are_not_are_told(
    stub: StubService, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    stub.answer = functions_host
    monkeypatch.setenv("JOBQ_ENQUEUE_KEY", KEYS["enqueue"])
    monkeypatch.setenv("JOBQ_STATUS_KEY", KEYS["status"])
    monkeypatch.setenv("JOBQ_CHECKOUT_KEY", "one-that-is-out-of-date")
    # when
    answer = run_process(f"{stub.url}/exp7", "doctor", "-o", "json")
    # then
    checks = {check["name"]: check for check in json.loads(answer.out)["checks"]}
    assert answer.code == 4
    assert states(checks) | {"latency": "ok", "clock": "ok"} == {
        **dict.fromkeys(("version", "latency", "clock", "service", "enqueue key", "status key"), "ok"),
        "manage key": "warning",
        "checkout key": "failed",
    }
    assert "set JOBQ_KEY or JOBQ_MANAGE_KEY" in checks["manage key"]["detail"]
    assert "lab/exp7" in checks["status key"]["detail"]
    assert not any(key in answer.out + answer.err for key in (*KEYS.values(), "one-that-is-out-of-date"))


def test_without_any_key_a_control_plane_that_asks_for_them_fails(stub: StubService) -> None:
    stub.answer = functions_host
    answer = run_process(f"{stub.url}/exp7", "doctor")
    assert answer.code == 4
    assert "4 checks of 8 failed: enqueue key, status key, manage key, checkout key" in answer.err


def test_a_service_of_another_version_is_a_warning(stub: StubService) -> None:
    stub.answer = lambda asked: Reply(document={"version": "99.0", "address": "lab/exp7"})
    answer = run_process(f"{stub.url}/exp7", "doctor")
    assert answer.code == 0
    assert "the service is jobq 99.0, and this is" in answer.err


def test_a_service_that_is_another_one_is_not_reachable(stub: StubService) -> None:
    stub.answer = lambda asked: Reply(404, headers={"Content-Type": "text/html"})
    answer = run_process(f"{stub.url}/exp7", "doctor")
    assert answer.code == 9
    assert "not as jobq does; is the URL right?" in answer.err


def test_without_a_queue_it_is_wrong_usage(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ")
    assert terminal("doctor").code == 2


def test_service_bus_without_its_tables_is_wrong_usage(terminal: Terminal) -> None:
    answer = terminal("sb://lab/exp7", "doctor")
    assert (answer.code, answer.out) == (2, "")
    assert "JOBQ_TABLES" in answer.err
