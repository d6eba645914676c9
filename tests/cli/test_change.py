"""cancel, retry, remove, clear, sweep."""

from __future__ import annotations

import json

import pytest

from jobq.backend import Backend
from jobq.cli import selecting
from jobq.core.listing import Filter
from tests.cli.by_hand import FAILED, end_jobs, start_job
from tests.cli.terminal import Terminal


@pytest.fixture(autouse=True)
def _four_jobs(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", "--tag", "t", given="echo 1\necho 2\necho 3\necho 4\n")


def _states(backend: Backend) -> list[str]:
    return [job["state"] for job in backend.jobs(Filter())["jobs"]]


def test_cancel_by_ids(terminal: Terminal, backend: Backend) -> None:
    answer = terminal("cancel", "b1-000001", "b1-000003", "--message", "wrong seed")
    assert answer.code == 0
    assert answer.err == "cancelled 2 jobs\n"
    assert _states(backend) == ["cancelled", "queued", "cancelled", "queued"]
    assert backend.job("b1-000001")["message"] == "wrong seed"


def test_cancel_of_a_running_job_asks_its_worker(terminal: Terminal, backend: Backend) -> None:
    running = start_job()
    assert terminal("cancel", "--tag", "t").code == 0
    assert backend.job(running)["cancel_requested"]
    assert _states(backend)[1:] == ["cancelled"] * 3


def test_some_unknown_ids_are_partly_done(terminal: Terminal, backend: Backend) -> None:
    answer = terminal("cancel", "b1-000001", "nope")
    assert answer.code == 8
    assert "cancelled 1 job" in answer.err
    assert "1 of 2 were refused: there is no job nope" in answer.err


def test_an_ended_job_cannot_be_cancelled(terminal: Terminal) -> None:
    (done,) = end_jobs()
    answer = terminal("cancel", done)
    assert answer.code == 1
    assert f"job {done} is succeeded; only queued or running jobs can be cancelled" in answer.err


def test_retry_failed_leaves_cancelled_ones(terminal: Terminal, backend: Backend) -> None:
    end_jobs(outcome=FAILED)
    terminal("cancel", "b1-000002")
    assert terminal("retry", "--failed").err == "queued 1 job again\n"
    assert _states(backend) == ["queued", "cancelled", "queued", "queued"]


def test_retry_of_a_tag_takes_failed_and_cancelled(terminal: Terminal, backend: Backend) -> None:
    end_jobs(outcome=FAILED)
    terminal("cancel", "b1-000002")
    assert terminal("retry", "--tag", "t").err == "queued 2 jobs again\n"
    assert _states(backend) == ["queued"] * 4


def test_removing_many_needs_yes_where_nobody_can_be_asked(terminal: Terminal, backend: Backend) -> None:
    answer = terminal("remove", "--tag", "t")
    assert answer.code == 2
    assert "add --yes" in answer.err
    assert terminal("remove", "--tag", "t", "--yes").err == "removed 4 jobs\n"
    assert _states(backend) == []


def test_clear_needs_yes_and_leaves_what_runs(terminal: Terminal, backend: Backend) -> None:
    start_job()
    assert terminal("clear", "0").code == 2
    assert terminal("clear", "0", "-y").err == "removed 3 jobs\n"
    assert _states(backend) == ["running"]


def test_a_person_is_asked_with_the_number_and_may_say_no(
    terminal: Terminal, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "is_talking_to_a_person", lambda: True)
    answer = terminal("remove", "--batch", "b1", given="n\n")
    assert "remove 4 jobs? [y/N]" in answer.err
    assert len(_states(backend)) == 4
    assert terminal("remove", "--batch", "b1", given="y\n").code == 0
    assert _states(backend) == []


def test_a_person_is_told_of_no_more_jobs_than_a_command_is_about(
    terminal: Terminal, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_jobs(outcome=FAILED)
    start_job()
    terminal("cancel", "b1-000003")
    monkeypatch.setattr(selecting, "is_talking_to_a_person", lambda: True)
    assert "cancel 2 jobs? [y/N]" in terminal("cancel", "--all", given="n\n").err
    assert "retry 2 jobs? [y/N]" in terminal("retry", "--tag", "t", given="n\n").err
    assert "retry 1 job? [y/N]" in terminal("retry", "--reason", "exit", given="n\n").err
    assert "remove 1 job? [y/N]" in terminal("remove", "--text", "echo 4", given="n\n").err
    assert terminal("preempt", "--all").err == "no job matches\n"
    assert terminal("retry", "--reason", "exit", given="y\n").code == 0
    assert _states(backend) == ["queued", "running", "cancelled", "queued"]


def test_jobs_are_chosen_by_what_they_run(terminal: Terminal, backend: Backend) -> None:
    assert terminal("cancel", "--text", "ECHO 2").err == "cancelled 1 job\n"
    assert terminal("move", "--text", "echo 3", "--from", "0", "--to", "5").err == "moved 1 job to lane 5\n"
    assert terminal("remove", "--reason", "cancelled", "--yes").err == "removed 1 job\n"
    assert [(job["id"], job["lanes"]) for job in backend.jobs(Filter())["jobs"]] == [
        ("b1-000001", ["0"]),
        ("b1-000003", ["5"]),
        ("b1-000004", ["0"]),
    ]


def test_a_bulk_answer_as_json(terminal: Terminal) -> None:
    assert json.loads(terminal("cancel", "--all", "-o", "json").out) == {"matched": 4, "changed": 4, "refused": []}


def test_sweep_says_what_it_did(terminal: Terminal) -> None:
    answer = terminal("sweep", "--repair")
    assert answer.code == 0
    assert "queued 4 jobs again" in answer.err
