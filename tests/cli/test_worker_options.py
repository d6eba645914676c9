"""From `worker` and `pull` to the worker, and one run of it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobq.model.address import Address
from jobq.settings import Settings
from jobq.worker.options import WorkerOptions
from tests.cli.by_hand import FAILED, end_jobs
from tests.cli.stub_service import Reply, StubService
from tests.cli.terminal import Terminal, run_process, start_process

Calls = list[tuple[str, WorkerOptions]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the worker was called with, in place of running it."""
    calls: Calls = []

    def run(address: Address, settings: Settings, options: WorkerOptions) -> int:
        calls.append((str(address), options))
        return 5

    monkeypatch.setattr("jobq.worker.run.run_worker_cli", run)
    return calls


def test_a_worker_ends_when_the_queue_is_empty_if_nothing_else_is_said(terminal: Terminal, calls: Calls) -> None:
    assert terminal("worker").code == 5
    assert calls == [("local:./q/demo", WorkerOptions())]


def test_a_machine_leaves_its_scale_set_only_when_it_was_idle(terminal: Terminal, calls: Calls) -> None:
    refused = terminal("worker", "--leave-scale-set")

    assert (refused.code, calls) == (2, [])
    assert "--leave-scale-set needs --idle-timeout" in refused.err


def test_each_option_of_a_worker_arrives(terminal: Terminal, calls: Calls) -> None:
    terminal(
        *("worker", "-n", "8", "--visibility-timeout", "5m", "--time-limit", "1d", "--max-consecutive-failures", "3"),
        *("--leave-scale-set", "--keep-instances", "2"),
        *("--idle-timeout", "10m", "--max-lane", "7", "--grace", "30s", "--proc", "mod:fun", "-q"),
        *("--realms", "exp7, exp8", "--all-realms"),
    )
    assert calls[0][1] == WorkerOptions(
        slots=8,
        realms=("exp7", "exp8"),
        all_realms=True,
        lease=timedelta(minutes=5),
        time_limit=timedelta(days=1),
        max_consecutive_failures=3,
        until="idle",
        idle_timeout=timedelta(minutes=10),
        leave_scale_set=True,
        keep_instances=2,
        max_lane="7",
        grace=timedelta(seconds=30),
        proc="mod:fun",
        quiet=True,
    )


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({"JOBQ_DISABLE_SCHEDULED_EVENTS": "1"}, {"scheduled_events": "off"}),
        ({"JOBQ_DISABLE_SCHEDULED_EVENTS": "0"}, {}),
        ({"JOBQ_TIME_LIMIT": "24h"}, {"time_limit": timedelta(days=1)}),
        ({"JOBQ_TIME_LIMIT": "24h", "JOBQ_WORKER_TIME_LIMIT": "2h"}, {"time_limit": timedelta(hours=2)}),
        ({"JOBQ_KILL_TIMEOUT": "600"}, {"grace": timedelta(minutes=10)}),
        ({"JOBQ_KILL_TIMEOUT": "0"}, {"grace": timedelta(days=366)}),
    ],
)
def test_variables_of_an_ancestor_hold_where_nothing_else_is_said(
    terminal: Terminal,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    options: dict[str, Any],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    terminal("worker")
    terminal("worker", "--scheduled-events", "http://127.0.0.1:9/", "--time-limit", "1h", "--grace", "5s")
    terminal("pull")

    assert calls[0][1] == WorkerOptions(**options)
    given = {"scheduled_events": "http://127.0.0.1:9/", "time_limit": timedelta(hours=1), "grace": timedelta(seconds=5)}
    assert calls[1][1] == WorkerOptions(**given)
    assert calls[2][1] == WorkerOptions(one=True, **{name: options[name] for name in {"grace"} & {*options}})


def test_variable_of_an_ancestor_that_makes_no_sense_is_refused(
    terminal: Terminal, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBQ_TIME_LIMIT", "soon")

    answer = terminal("worker")

    assert (answer.code, calls) == (2, [])
    assert "'soon' is not a duration" in answer.err


def test_name_of_the_slots_with_an_ancestor_is_understood(terminal: Terminal, calls: Calls) -> None:
    terminal("worker", "--num-workers", "3")
    assert calls[0][1].slots == 3


def test_a_worker_may_go_on_forever(terminal: Terminal, calls: Calls) -> None:
    terminal("worker", "--forever")
    assert calls[0][1].until == "forever"


def test_pull_runs_one_job(terminal: Terminal, calls: Calls) -> None:
    terminal("pull", "--visibility-timeout", "1h")
    assert calls[0][1] == WorkerOptions(one=True, lease=timedelta(hours=1))


def test_further_realms_may_be_a_variable(terminal: Terminal, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOBQ_WORKER_REALMS", "exp7,exp8")
    monkeypatch.setenv("JOBQ_PULL_ALL_REALMS", "1")
    terminal("worker")
    terminal("pull")
    assert [options for _, options in calls] == [
        WorkerOptions(realms=("exp7", "exp8")),
        WorkerOptions(one=True, all_realms=True),
    ]


def test_realm_that_cannot_be_is_refused(terminal: Terminal, calls: Calls) -> None:
    answer = terminal("worker", "--realms", "exp7,No")
    assert (answer.code, calls) == (2, [])
    assert "'No' is not a realm's name" in answer.err


def test_a_worker_given_a_url_pulls_from_where_the_service_says(
    terminal: Terminal, calls: Calls, stub: StubService
) -> None:
    Path("q").mkdir()
    stub.answer = lambda asked: Reply(document={"address": f"local:{Path.cwd()}/q/demo"})
    terminal(f"{stub.url}/demo", "worker")
    assert calls[0][0] == f"local:{Path.cwd()}/q/demo"


def test_what_is_pushed_is_run_and_counted(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", given="echo hello\nexit 3\n")
    worked = run_process("worker", "-n", "2")
    assert worked.code == 0, worked.err
    assert "[b1-000001] hello" in worked.out
    waited = terminal("wait", "b1")
    assert waited.code == 5
    assert waited.out == "job b1-000002 failed: exit 3 (attempt 1 of 1)\n"
    assert terminal("logs", "b1-000001").out == "hello\n"


def test_jobs_of_several_realms_are_run_the_lowest_lane_first(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", "-c", "echo later; sleep 0.4", "--lane", "2")
    terminal("local:./q/urgent", "push", "--batch", "b2", "-c", "echo first; sleep 0.4", "--lane", "1")
    worked = run_process("worker", "--realms", "urgent")
    assert worked.code == 0, worked.err
    assert worked.out == "[b2-000001] first\n[b1-000001] later\n"
    assert run_process("pull", "--all-realms").code == 0


def test_push_says_which_failures_are_retried_and_how_soon(terminal: Terminal) -> None:
    # Given jobs that fail once, each in its way
    ways = ("exit 75", "exit 2", "kill -9 $$")
    jobs = [part for way in ways for part in ("-c", f"[ $JOBQ_ATTEMPT -gt 1 ] || {way}")]
    terminal(
        "push", *jobs, "--batch", "b1", "--num-retries", "2", "--backoff", "0s..0s", "--retry-on", "exit:75,signal"
    )

    assert run_process("worker").code == 0

    shown = [json.loads(terminal("show", f"b1-00000{n}", "-o", "json").out) for n in (1, 2, 3)]
    assert [(job["state"], job["attempts"]) for job in shown] == [("succeeded", 2), ("failed", 1), ("succeeded", 2)]
    said = terminal("show", "b1-000002").out
    assert "retries   2, 0s..0s apart, only after exit:75, signal\n" in said


def test_logs_are_followed_through_the_retries(terminal: Terminal) -> None:
    terminal("push", "-c", "echo try $JOBQ_ATTEMPT", "--id", "j1", "--num-retries", "1")
    end_jobs(1, FAILED, log=b"try 1\n")
    following = start_process("logs", "j1", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == "try 1\n"
    assert run_process("worker").code == 0
    out, said = following.communicate(timeout=30)
    assert following.returncode == 0
    assert out == "try 2\n"
    assert said == "attempt 2:\n"
