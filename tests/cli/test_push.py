from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobq.backend import Backend
from jobq.core.listing import Filter
from jobq.model.job import Outcome
from tests.cli.by_hand import FAILED, OK, end_jobs
from tests.cli.stub_service import StubService, pushed
from tests.cli.terminal import Terminal


def _commands(backend: Backend) -> list[str]:
    return [job["command"] for job in backend.jobs(Filter(), limit=1000)["jobs"]]


def test_commands_are_pushed_in_order_with_what_the_options_say(terminal: Terminal, backend: Backend) -> None:
    options = ("--tag", "a,b", "--tags", "c, d", "--lane", "1", "--num-retries", "2", "--timeout", "1h", "-e", "X=1=2")
    answer = terminal("push", "-c", "echo 1", "-c", "echo 2", "--batch", "b1", *options)
    assert answer.code == 0
    job = backend.job("b1-000002")
    assert job["command"] == "echo 2"
    assert job["tags"] == ["a,b", "c", "d"]
    assert job["lanes"] == ["1"]
    assert job["num_retries"] == 2
    assert job["timeout"] == 3600
    assert job["env_names"] == ["X"]


def test_words_after_two_dashes_are_one_command(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--", "echo", "a b", "--tag", "$HOME")
    assert _commands(backend) == ["echo 'a b' --tag '$HOME'"]


def test_one_word_after_two_dashes_is_a_command_line_in_quotes(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "--", "echo $HOME | wc")
    assert _commands(backend) == ["echo $HOME | wc"]


def test_standard_input_is_a_job_a_line_and_ids_come_from_line_numbers(terminal: Terminal, backend: Backend) -> None:
    lines = '# a comment\n\n  echo 1  \r\n{ echo 2; }\n\t\n{"cmd": "echo 3", "tags": ["t"]}\n{"x": 1}\necho 4'
    answer = terminal("push", "--batch", "b1", "--tag", "all", "--output", "ids", given=lines)
    assert answer.out.split() == ["b1-000003", "b1-000004", "b1-000006", "b1-000007", "b1-000008"]
    assert backend.job("b1-000003")["command"] == "echo 1"
    assert backend.job("b1-000004")["command"] == "{ echo 2; }"
    assert backend.job("b1-000006")["tags"] == ["all", "t"]
    assert backend.job("b1-000007")["kwargs"] == {"x": 1}
    assert backend.job("b1-000008")["command"] == "echo 4"


def test_a_file_is_read_where_it_is_named(terminal: Terminal, backend: Backend) -> None:
    Path("tasks.txt").write_bytes("\ufeffecho größe\n".encode())
    assert terminal("push", "--from", "tasks.txt").code == 0
    assert _commands(backend) == ["echo größe"]


def test_an_input_without_jobs_pushes_none_and_is_fine(terminal: Terminal) -> None:
    answer = terminal("push", given="\n# nothing\n")
    assert answer.code == 0
    assert "Pushed 0 jobs" in answer.err


def test_a_long_input_is_pushed_in_windows(terminal: Terminal, backend: Backend) -> None:
    answer = terminal("push", "--tag", "many", given="".join(f"echo {n}\n" for n in range(2345)))
    assert answer.code == 0
    assert "Pushed 2,345 jobs" in answer.err
    assert backend.tag_status("many")["queued"] == 2345


def test_the_summary_says_what_was_there_and_what_to_do_next(terminal: Terminal) -> None:
    terminal("push", "--batch", "b1", given="echo 1\necho 2\n")
    answer = terminal("push", "--batch", "b1", given="echo 1\necho 2\necho 3\n")
    expected = (Path(__file__).parent / "expected" / "push_summary.txt").read_text()
    assert answer.err == expected
    assert answer.out == ""


def test_json_answers_with_counts_and_each_job(terminal: Terminal) -> None:
    terminal("push", "-c", "echo 1", "--batch", "b1")
    answer = terminal("push", "-c", "echo 1", "-c", "echo 2", "--batch", "b1", "--output", "json")
    document = json.loads(answer.out)
    assert {name: document[name] for name in ("batch", "queued", "exists", "refused")} == {
        "batch": "b1",
        "queued": 1,
        "exists": 1,
        "refused": 0,
    }
    assert [job["status"] for job in document["jobs"]] == ["exists", "queued"]


def test_if_exists_error_refuses_what_is_there_and_says_that_only_part_was_done(terminal: Terminal) -> None:
    terminal("push", "-c", "true", "--id", "j1")
    answer = terminal("push", "-c", "true", "--id", "j1", "--if-exists", "error")
    assert answer.code == 8
    assert "refused j1: it exists and is queued" in answer.err


def test_if_exists_replace_takes_the_new_command(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "-c", "old", "--id", "j1")
    assert terminal("push", "-c", "new", "--id", "j1", "--if-exists", "replace").code == 0
    assert backend.job("j1")["command"] == "new"


def test_if_exists_rerun_failed_queues_a_failed_one_again(terminal: Terminal, backend: Backend) -> None:
    terminal("push", "-c", "false", "--id", "j1")
    end_jobs(outcome=FAILED)
    assert terminal("push", "-c", "false", "--id", "j1", "--if-exists", "rerun-failed").code == 0
    assert backend.job("j1")["state"] == "queued"


def test_a_dry_run_checks_and_shows_but_pushes_nothing(terminal: Terminal) -> None:
    answer = terminal("push", "--dry-run", "--batch", "b1", "--tag", "t", given='echo 1\n{"x": 1}\n')
    expected = (Path(__file__).parent / "expected" / "push_dry_run.txt").read_text()
    assert answer.out == expected
    assert "Would push 2 jobs to local:./q/demo as batch b1" in answer.err
    assert not Path("q").exists()


def test_what_a_dry_run_prints_as_jsonl_can_be_pushed(terminal: Terminal, backend: Backend) -> None:
    text = terminal(
        "push", "--dry-run", "--batch", "b1", "-o", "jsonl", "--timeout", "90s", given="# c\necho 1\n\necho 2\n"
    ).out
    assert terminal("push", "--batch", "b1", given=text).code == 0
    assert backend.job("b1-000004")["command"] == "echo 2"
    assert backend.job("b1-000004")["timeout"] == 90


def test_a_push_over_http_is_one_request_for_a_window(terminal: Terminal, stub: StubService) -> None:
    stub.answer = pushed
    answer = terminal(f"{stub.url}/demo", "push", "--chunk", "8", given="true\n" * 1500)
    assert answer.code == 0
    assert [len(asked.json()["jobs"]) for asked in stub.asked] == [1000, 500]
    assert len({asked.json()["token"] for asked in stub.asked}) == 1


@pytest.mark.parametrize(("outcome", "code"), [(OK, 0), (FAILED, 5)])
def test_push_and_wait_ends_as_wait_does(outcome: Outcome, code: int, terminal: Terminal) -> None:
    terminal("push", "-c", "true", "--id", "j1")
    end_jobs(1, outcome)
    answer = terminal("push", "-c", "true", "--id", "j1", "--wait")
    assert answer.code == code
