"""status, jobs, show, list: tables against files, documents by their keys."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jobq.backend import Backend
from jobq.core.listing import Filter
from jobq.model.counts import Gpu
from jobq.model.fingerprint import error_of
from jobq.model.job import Job, JobState, Progress, Reason, Spec
from tests.cli.by_hand import FAILED, OK, be_seen, end_jobs, start_job, tell_progress
from tests.cli.terminal import Terminal, start_process

EXPECTED = Path(__file__).parent / "expected"


@pytest.fixture
def some_jobs(terminal: Terminal) -> None:
    """Under two tags, in two lanes and batches: two queued, one running, one succeeded, one failed, one cancelled."""
    terminal("push", "--batch", "b1", "--tags", "fit", given="python fit.py 1\npython fit.py 2\npython fit.py 3\n")
    terminal(
        "push", "--batch", "b2", "--tags", "fit,plot", "--lane", "7", given="python plot.py\ntrue\n{ ls; date; }\n"
    )
    end_jobs(1, OK)
    end_jobs(1, FAILED)
    terminal("cancel", "b1-000003")
    start_job()


def _without_times(text: str) -> str:
    """As in the files: ages and times as `TIME`."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z \(.*?\)", "TIME", text)
    return re.sub(r"\b(?:now|\d+s ago) +", "TIME  ", text)


@pytest.mark.usefixtures("some_jobs")
@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("status",), "status_realm.txt"),
        (("status", "realm"), "status_realm.txt"),
        (("status", "tag", "plot"), "status_tag.txt"),
        (("status", "batch", "b1"), "status_batch.txt"),
        (("status", "b1"), "status_batch.txt"),
        (("status", "plot"), "status_tag.txt"),
        (("list",), "list.txt"),
    ],
)
def test_counts_are_shown_as_a_table(arguments: tuple[str, ...], file: str, terminal: Terminal) -> None:
    answer = terminal(*arguments)
    assert answer.code == 0
    assert answer.out == (EXPECTED / file).read_text()


@pytest.mark.usefixtures("some_jobs")
@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("jobs",), "jobs.txt"),
        (("show", "b1-000002"), "show_failed.txt"),
        (("status", "job", "b1-000002"), "show_failed.txt"),
        (("status", "b1-000002"), "show_failed.txt"),
    ],
)
def test_jobs_are_shown_as_tables(arguments: tuple[str, ...], file: str, terminal: Terminal) -> None:
    answer = terminal(*arguments)
    assert answer.code == 0
    assert _without_times(answer.out) == (EXPECTED / file).read_text()


@pytest.mark.usefixtures("some_jobs")
def test_a_status_as_json_has_the_counts_at_its_top(terminal: Terminal) -> None:
    document = json.loads(terminal("status", "-o", "json").out)
    assert [document[name] for name in ("total", "queued", "running", "succeeded", "failed", "cancelled")] == [
        6,
        3,
        0,
        1,
        1,
        1,
    ]
    assert document["lanes"]["7"]["total"] == 3
    assert document["tags"]["fit"]["failed"] == 1
    assert document["batches"]["b1"]["cancelled"] == 1


@pytest.mark.usefixtures("some_jobs")
def test_a_job_as_json_has_what_is_promised(terminal: Terminal) -> None:
    document = json.loads(terminal("show", "b1-000002", "-o", "json").out)
    assert document["id"] == "b1-000002"
    assert (document["state"], document["reason"], document["exit_code"]) == ("failed", "exit", 3)
    assert (document["attempts"], document["tags"], document["lanes"]) == (1, ["fit"], ["0"])
    assert (document["output_tail"], document["result"]) == ("no such file\n", None)


def test_each_attempt_of_a_job_is_shown(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--batch", "b1", "-c", "python fit.py", "--num-retries", "1", "--backoff", "0s")
    end_jobs(1, FAILED)
    end_jobs(1, FAILED)
    terminal("retry", "b1-000001")
    start_job()
    lines = _without_times(terminal("show", "b1-000001").out).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("attempts"))
    assert [line.split(maxsplit=1)[-1] for line in lines[first : first + 4]] == [
        "3",
        "exit 3 after 0.5s on by-hand, TIME",
        "exit 3 after 0.5s on by-hand, TIME",
        "running on by-hand since TIME",
    ]
    attempts = backend.job("b1-000001")["attempt_list"]
    assert [(attempt["attempt"], attempt["reason"], attempt["exit_code"]) for attempt in attempts] == [
        (1, "exit", 3),
        (2, "exit", 3),
        (3, None, None),
    ]


@pytest.mark.usefixtures("some_jobs")
@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (("--tag", "plot"), ["b2-000001", "b2-000002", "b2-000003"]),
        (("--batch", "b1", "--state", "succeeded"), ["b1-000001"]),
        (("--state", "failed", "--tag", "fit"), ["b1-000002"]),
        (("--lane", "7", "--limit", "2"), ["b2-000001", "b2-000002"]),
        (("--state", "queued"), ["b2-000001", "b2-000002", "b2-000003"]),
        (("--reason", "exit"), ["b1-000002"]),
        (("--text", "FIT.py 3"), ["b1-000003"]),
        (("--text", "fit", "--state", "queued"), []),
    ],
)
def test_jobs_are_filtered(options: tuple[str, ...], ids: list[str], terminal: Terminal) -> None:
    assert terminal("jobs", *options, "-o", "ids").out.split() == ids


@pytest.mark.usefixtures("some_jobs")
def test_running_jobs_are_those_that_workers_say_they_run(terminal: Terminal) -> None:
    assert terminal("jobs", "--state", "running", "-o", "ids").out == ""
    tell_progress("b2-000001", Progress(0.5))
    assert terminal("jobs", "--state", "running", "-o", "ids").out == "b2-000001\n"
    assert terminal("jobs", "--state", "queued", "-o", "ids").out.split() == ["b2-000002", "b2-000003"]


@pytest.mark.usefixtures("some_jobs")
def test_jobs_that_failed_alike_are_listed_by_their_fingerprint(terminal: Terminal, backend: Backend) -> None:
    (failed,) = backend.jobs(Filter(state=JobState.FAILED))["jobs"]
    error = error_of(Job(failed["id"], "b1", Spec(), state=JobState.FAILED, reason=Reason.EXIT, tail="no such file"))
    assert error is not None
    assert terminal("jobs", "--error", error.key, "-o", "ids").out == "b1-000002\n"
    answer = terminal("jobs", "--error", "CUDA out of memory")
    assert answer.code == 2
    assert "12 hex digits" in answer.err


@pytest.mark.usefixtures("some_jobs")
def test_a_list_that_was_cut_says_so_and_all_shows_the_rest(terminal: Terminal) -> None:
    assert "more than 4" in terminal("jobs", "--limit", "4").err
    whole = terminal("jobs", "--all", "-o", "jsonl")
    assert whole.err == ""
    assert len(whole.out.splitlines()) == 6


def test_no_job_and_no_realm_are_no_errors(terminal: Terminal) -> None:
    for command in ("jobs", "list", "status"):
        answer = terminal(command)
        assert answer.code == 0
    assert terminal("jobs", "-o", "json").out == '{\n  "jobs": [],\n  "next": null\n}\n'


def test_a_command_cannot_move_the_cursor_of_who_lists_it(terminal: Terminal) -> None:
    terminal("push", "-c", "echo \x1b[2J", "--id", "j1")
    assert "\x1b" not in terminal("jobs").out
    assert "\x1b" not in terminal("show", "j1").out


@pytest.mark.usefixtures("some_jobs")
def test_a_running_job_that_tells_how_far_it_is_is_listed_with_it(terminal: Terminal) -> None:
    tell_progress("b2-000001", Progress(0.4, "epoch 12\x1b[2J"))

    table = [line.split() for line in terminal("jobs").out.replace("epoch 12", "epoch-12").splitlines()]
    documents = json.loads(terminal("jobs", "-o", "json").out)["jobs"]
    watched = start_process("status", "job", "b2-000001", "-w")
    assert watched.stdout is not None
    line = watched.stdout.readline()
    watched.kill()
    watched.communicate()

    assert "PROGRESS" in table[0]
    assert [" ".join(row[-5:-2]) for row in table if row[0] == "b2-000001"] == ["40 % epoch-12\ufffd[2J"]
    assert {job["id"]: job["progress"] for job in documents if job["progress"]} == {
        "b2-000001": {"fraction": 0.4, "text": "epoch 12\x1b[2J"}
    }
    assert line.split("  ")[1] == "running, 40 % epoch 12\ufffd[2J\n"


def test_workers_are_shown_with_their_gpus_and_images_where_there_are_any(terminal: Terminal) -> None:
    be_seen("w-plain")
    plain = terminal("workers").out.splitlines()
    be_seen(
        "w-gpus",
        image="acme.azurecr.io/team/fit@sha256:0123456789abcdef0123456789abcdef",
        gpus=[Gpu("A100", 0.35, 0.5), Gpu("A100", None, 1.0)],
    )
    both = terminal("workers").out.splitlines()
    document = json.loads(terminal("workers", "-o", "json").out)["workers"][0]

    assert plain[0].split() == ["ID", "HOST", "SLOTS", "RUNNING", "CPU", "MEMORY", "LABELS", "STATE", "HEARD"]
    assert both[0].split() == [
        *("ID", "HOST", "SLOTS", "RUNNING", "CPU", "MEMORY", "GPU", "GPU", "MEMORY", "IMAGE"),
        *("LABELS", "STATE", "HEARD"),
    ]
    assert re.search(r" 50%  +25%  +35% \?  +50% 100%  +fit@0123456789ab  +idle ", both[1])
    assert document["image"] == "acme.azurecr.io/team/fit@sha256:0123456789abcdef0123456789abcdef"
    assert document["gpus"][1] == {"name": "A100", "use": None, "memory": 1.0}


def test_watching_ends_when_nothing_remains_and_tells_changes_only(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "-c", "true", "--tag", "t")
    end_jobs()
    answer = terminal("status", "tag", "t", "-w")
    assert answer.code == 0
    assert re.fullmatch(r"\d\d:\d\d:\d\d  1 of 1 ended \(100%\)\n", answer.out)


def test_watching_as_jsonl_tells_documents(terminal: Terminal) -> None:
    terminal("push", "-c", "true", "--id", "j1")
    end_jobs()
    assert json.loads(terminal("status", "job", "j1", "-w", "-o", "jsonl").out)["state"] == "succeeded"


def test_a_table_on_a_terminal_has_colours_unless_no_color_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from jobq.cli import output

    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.answer_table(("STATE", "N"), [("failed", 3)])
    assert "\x1b[31mfailed" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    output.answer_table(("STATE", "N"), [("failed", 3)])
    assert "\x1b[31m" not in capsys.readouterr().out
