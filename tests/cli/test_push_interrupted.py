from __future__ import annotations

import re
import signal

import pytest

from jobq.backend import Backend
from jobq.errors import NotFound
from tests.cli.stub_service import Reply, StubService, pushed
from tests.cli.terminal import Terminal, start_process, until


def _total(backend: Backend, batch: str) -> int:
    try:
        return int(backend.batch_status(batch)["total"])
    except NotFound:
        return 0


def test_what_has_come_is_pushed_while_the_next_line_takes_its_time(backend: Backend) -> None:
    process = start_process("push", "--batch", "b1")
    assert process.stdin is not None
    process.stdin.write("echo 1\necho 2\n")
    process.stdin.flush()
    until(lambda: _total(backend, "b1") == 2)
    _, said = process.communicate("echo 3\n", timeout=30)
    assert process.returncode == 0
    assert "Pushed 3 jobs" in said


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_push_names_its_batch_and_is_completed_by_it(
    how: signal.Signals, terminal: Terminal, backend: Backend
) -> None:
    process = start_process("push", "--batch", "b1")
    assert process.stdin is not None
    process.stdin.write("echo 1\necho 2\n")
    process.stdin.flush()
    until(lambda: _total(backend, "b1") == 2)
    process.send_signal(how)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.search(r"at least \d jobs? of batch b1 (is|are) in the queue", said)
    assert "jobq push --batch b1" in said

    answer = terminal("push", "--batch", "b1", given="echo 1\necho 2\necho 3\n")
    assert answer.code == 0
    assert "Pushed 1 job to local:./q/demo as batch b1 (2 already there)" in answer.err


def test_a_service_that_goes_away_ends_with_9_and_the_batch_to_repeat(stub: StubService) -> None:
    stub.replies = [Reply(is_lost=True)] * 4
    process = start_process(f"{stub.url}/demo", "push", "--batch", "b1")
    _, said = process.communicate("true\n", timeout=60)
    assert process.returncode == 9
    assert "at least 0 jobs of batch b1 are in the queue" in said
    assert "push --batch b1" in said


def test_a_push_whose_answer_was_lost_is_repeated_with_the_same_token(stub: StubService) -> None:
    stub.replies = [Reply(is_lost=True)]
    stub.answer = pushed
    process = start_process(f"{stub.url}/demo", "push", "--batch", "b1")
    process.communicate("true\n", timeout=60)
    assert process.returncode == 0
    first, second = stub.asked
    assert first.json() == second.json()
    assert first.json()["token"]
