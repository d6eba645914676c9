"""The Python API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobq import Batch, Client
from jobq.client import Task
from jobq.errors import BadInput, JobqError, NotFound, TimedOut
from jobq.model.job import Outcome
from tests.cli.by_hand import FAILED, OK, end_jobs


@pytest.fixture
def queue() -> Iterator[Client]:
    with Client("local:./q/demo") as client:
        yield client


def test_push_takes_commands_objects_and_arguments(queue: Client) -> None:
    jobs: list[Task] = ["echo 1", {"cmd": "echo 2", "num_retries": 5}, {"x": 1}]
    batch = queue.push(jobs, batch="b1", tags=["t"], lane=7, env={"A": "1"}, num_retries=2, timeout="1h")
    assert batch == Batch("b1", ("b1-000001", "b1-000002", "b1-000003"), 3, 0, ())
    first, second, third = queue.jobs(batch=batch)
    assert (first["command"], first["num_retries"], first["timeout"]) == ("echo 1", 2, 3600)
    assert (second["command"], second["num_retries"], second["lanes"]) == ("echo 2", 5, ["7"])
    assert (third["kwargs"], third["tags"], third["env_names"]) == ({"x": 1}, ["t"], ["A"])


def test_a_push_repeated_under_its_batch_adds_nothing(queue: Client) -> None:
    queue.push(["echo 1"], batch="b1")
    again = queue.push(["echo 1", "echo 2"], batch="b1")
    assert (again.queued, again.exists) == (1, 1)
    assert queue.batch(again)["total"] == 2


def test_refused_jobs_are_reported(queue: Client) -> None:
    queue.push(["echo 1"], batch="b1")
    again = queue.push(["echo 1"], batch="b1", if_exists="error")
    assert [refused["id"] for refused in again.refused] == ["b1-000001"]


@pytest.mark.parametrize(
    ("jobs", "hint"),
    [
        (["true", ""], "job 2 of the push: the command is empty"),
        (["true", {"cmd": "x", "lane": "UP"}], "job 2 of the push: 'UP' is not a lane"),
        ([7], "job 1 of the push: it is a int"),
        ([{"x": object()}], "job 1 of the push"),
        ("true", "takes a list"),
    ],
)
def test_a_bad_job_is_named_before_anything_is_pushed(jobs: list[str], hint: str, queue: Client) -> None:
    with pytest.raises(BadInput, match=hint):
        queue.push(jobs)
    assert queue.status()["total"] == 0


def test_tags_are_a_list(queue: Client) -> None:
    with pytest.raises(BadInput, match="a list of texts"):
        queue.push(["true"], tags="abc")


def test_wait_returns_how_it_ended(queue: Client) -> None:
    batch = queue.push(["true", "false"], tags=["t"])
    end_jobs(1, OK)
    end_jobs(1, FAILED)
    for standing in (queue.wait(batch), queue.wait(batch.name), queue.wait(batch.ids), queue.wait(tag="t")):
        assert (standing.total, standing.succeeded, standing.failed) == (2, 1, 1)
    assert queue.wait().failed == 1


def test_wait_gives_up_in_time(queue: Client) -> None:
    batch = queue.push(["true"])
    with pytest.raises(TimedOut, match="1 of 1 jobs of batch"):
        queue.wait(batch, timeout=0)


def test_results_are_what_the_callable_returned(queue: Client) -> None:
    batch = queue.push([{"x": 1}, {"x": 2}, {"x": 3}], batch="b1")
    end_jobs(1, Outcome(result={"y": 1}))
    end_jobs(1, Outcome(result="z" * 100_000))
    end_jobs(1, FAILED)
    assert queue.results(batch) == {"b1-000001": {"y": 1}, "b1-000002": "z" * 100_000}


def test_jobs_are_cancelled_retried_and_removed(queue: Client) -> None:
    batch = queue.push(["true", "true"], tags=["t"])
    assert queue.cancel(batch.ids[:1])["changed"] == 1
    assert queue.cancel(batch)["changed"] == 1
    assert queue.tag("t")["cancelled"] == 2
    assert queue.retry(tag="t")["changed"] == 2
    assert queue.remove(batch)["changed"] == 2
    with pytest.raises(NotFound):
        queue.job(batch.ids[0])


def test_nothing_named_is_not_everything(queue: Client) -> None:
    queue.push(["true"])
    for ask in (queue.cancel, queue.retry, queue.remove):
        with pytest.raises(BadInput, match="say which jobs"):
            ask()
    assert queue.status()["queued"] == 1


def test_a_log_is_read(queue: Client) -> None:
    batch = queue.push(["true"])
    end_jobs(log=b"one\n")
    assert queue.log(batch.ids[0]) == b"one\n"


def test_the_environment_says_which_queue() -> None:
    with Client() as queue:
        assert str(queue.address) == "local:./q/demo"


def test_one_except_catches_all(queue: Client) -> None:
    with pytest.raises(JobqError):
        queue.tag("nope")


def test_a_closed_client_can_be_closed_again_and_opens_anew(queue: Client) -> None:
    queue.status()
    queue.close()
    queue.close()
    assert queue.status()["total"] == 0
