"""A push of any number of jobs from Python, from sources that are listed side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jobq import Client, Tally
from jobq.client import Task
from jobq.errors import BadInput
from jobq.many import Listing, ManyPush
from jobq.model.job import NewJob, Spec
from tests.stacks import make_place


@pytest.fixture(params=["local"])
def queue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    """On a folder; on Azurite too where a test asks for both."""
    place = make_place(request, request.param, tmp_path)
    with Client(str(place.address), connection_string=place.settings.connection_string) as client:
        yield client


everywhere = pytest.mark.parametrize("queue", ["local", "azurite"], indirect=True)


def commands(count: int, name: str = "x") -> Iterator[Task]:
    for n in range(count):
        yield f"echo {name} {n}"


@everywhere
@pytest.mark.parametrize("workers", [4])
def test_generator_is_pushed_once_however_often(queue: Client, workers: int) -> None:
    first = queue.push_many(commands(1200), batch="b", tags=["t"], num_retries=2, workers=workers)
    again = queue.push_many(commands(1201), batch="b", tags=["t"], workers=workers)

    assert first == Tally("b", 1200, 0, 0, 0, ())
    assert again == Tally("b", 1, 1200, 0, 0, ())
    assert queue.tag("t")["queued"] == 1201
    job = queue.job("b-000017")
    assert (job["command"], job["num_retries"]) == ("echo x 16", 2)


@everywhere
def test_sources_are_listed_side_by_side(queue: Client) -> None:
    # Given folders whose lists come only when all are being listed
    together = threading.Barrier(4, timeout=20)

    def folder(name: str) -> Iterator[Task]:
        together.wait()
        yield from commands(300, name)

    # When they are pushed twice
    names = ["a", "b", "c", "d"]
    first = queue.push_many(*[partial(folder, name) for name in names], batch="b", workers=4)
    again = queue.push_many(*[partial(folder, name) for name in names], batch="b", workers=4)

    # Then each job has its own id, by its source and its place there
    assert (first.queued, again.queued, again.exists) == (1200, 0, 1200)
    assert queue.job("b-3.000017")["command"] == "echo c 16"
    assert queue.batch(first)["total"] == 1200


def test_more_sources_than_workers_are_all_read(queue: Client) -> None:
    tally = queue.push_many(*[partial(commands, 3, str(n)) for n in range(20)], ["echo last"], workers=3)

    assert tally.queued == 61
    assert queue.status()["total"] == 61


def test_what_is_done_already_is_not_pushed(queue: Client) -> None:
    jobs: list[Task] = [{"n": n} for n in range(10)]

    def is_even(job: Any) -> bool:
        return bool(job["n"] % 2 == 0)

    tally = queue.push_many(jobs, batch="b", already_done=is_even)

    assert (tally.queued, tally.skipped) == (5, 5)
    assert [job["id"] for job in queue.jobs(batch=tally)] == [f"b-{n:06d}" for n in (2, 4, 6, 8, 10)]


def test_what_is_done_is_asked_side_by_side_also_of_one_source(queue: Client) -> None:
    together = threading.Barrier(3, timeout=20)

    def is_done(job: Task) -> bool:
        together.wait()
        return job == "echo x 1"

    tally = queue.push_many(commands(6), workers=3, already_done=is_done)

    assert (tally.queued, tally.skipped) == (5, 1)


def test_set_of_what_is_done_holds_ids_or_commands(queue: Client) -> None:
    jobs: list[Task] = ["echo 1", {"cmd": "echo 2", "id": "two"}, "echo 3", "echo 4"]

    tally = queue.push_many(jobs, batch="b", already_done={"echo 1", "two", "b-000004"})

    assert (tally.queued, tally.skipped) == (1, 3)
    with pytest.raises(BadInput, match="must be a function"):
        queue.push_many([{"n": 1}], already_done={"b-000001"})


def test_what_exists_may_be_refused_and_is_counted(queue: Client) -> None:
    queue.push_many(commands(150), batch="b")

    tally = queue.push_many(commands(150), batch="b", if_exists="error")

    assert (tally.queued, tally.refused, len(tally.refusals)) == (0, 150, 100)


@pytest.mark.parametrize("workers", [1, 4])
def test_error_of_a_generator_is_raised_as_it_is_and_says_what_was_pushed(queue: Client, workers: int) -> None:
    class ListingFailed(Exception):
        pass

    def broken() -> Iterator[Task]:
        yield from commands(1000 * workers)
        while queue_total() == 0:
            yield "echo more"
        raise ListingFailed("the listing broke off")

    def queue_total() -> int:
        with Client(str(queue.address)) as other:
            return int(other.status()["total"])

    with pytest.raises(ListingFailed, match="broke off") as raised:
        queue.push_many(broken, batch="b", workers=workers)

    total = queue.status()["total"]
    assert total >= 1000
    (note,) = raised.value.__notes__
    assert f"at least {total:,} jobs of batch b are in the queue" in note
    assert "batch='b'" in note


def test_bad_job_is_named_with_its_source(queue: Client) -> None:
    with pytest.raises(BadInput, match="job 2 of source 2: the command is empty") as raised:
        queue.push_many(["true"], ["true", ""], workers=2)

    assert raised.value.__notes__[0].startswith("jobq: at least 0 jobs")


def test_id_that_comes_twice_is_refused_however_far_apart(queue: Client) -> None:
    def jobs() -> Iterator[Task]:
        yield {"cmd": "echo 1", "id": "same"}
        yield from commands(1500)
        yield {"cmd": "echo 2", "id": "same"}

    with pytest.raises(BadInput, match="job 1502 of the push has the id 'same'"):
        queue.push_many(jobs)


@pytest.mark.parametrize("sources", [(), ("true",), ({"cmd": "true"},)])
def test_what_is_no_source_is_refused(queue: Client, sources: tuple[Any, ...]) -> None:
    with pytest.raises(BadInput, match="lists or generators"):
        queue.push_many(*sources)


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_than_some_windows_are_held_at_once(workers: int) -> None:
    # Given a source of a hundred thousand jobs, and a push that counts what was taken and not pushed yet
    taken, held = [0], []

    def source() -> Iterator[Task]:
        for _ in range(100_000):
            taken[0] += 1
            yield "true"

    def push(jobs: Any) -> list[Any]:
        held.append(taken[0] - 1000 * len(held))
        return [{"status": "queued"} for _ in jobs]

    def parse(task: Task, position: int, listing: Listing) -> tuple[NewJob, int]:
        return NewJob(listing.id_at("b", position), Spec(command=str(task))), 4

    tally = ManyPush("b", [Listing(source, 0)], parse, push).run(workers)

    assert tally.queued == 100_000
    assert max(held) <= 1000 * (workers + 1)


def test_large_jobs_make_small_windows() -> None:
    sizes = []

    def push(jobs: Any) -> list[Any]:
        sizes.append(len(jobs))
        return [{"status": "queued"} for _ in jobs]

    def parse(task: Task, position: int, listing: Listing) -> tuple[NewJob, int]:
        return NewJob(listing.id_at("b", position), Spec(command=str(task))), 4_000_000

    ManyPush("b", [Listing(["true"] * 10, 0)], parse, push).run(1)

    assert sizes == [4, 4, 2]
