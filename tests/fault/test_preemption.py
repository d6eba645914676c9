"""A machine that is told to go: jobs go back at once, uncounted, and run elsewhere, or here if it stays after all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.metadata_endpoint import MetadataEndpoint, metadata_endpoint
from tests.worker.running import jobs, push, shell, states

pytestmark = pytest.mark.slow

FIRST_TRY = '[ $JOBQ_ATTEMPT -gt 1 ] || {{ echo begun >> {told}; {wait}; }}; echo "try $JOBQ_ATTEMPT"'
HEEDS = "trap 'echo term >> {told}; ls $JOBQ_PREEMPTED | wc -l >> {told}; exit 9' TERM; while :; do sleep 0.05; done"


@pytest.fixture
def endpoint() -> Iterator[MetadataEndpoint]:
    with metadata_endpoint() as endpoint:
        yield endpoint


def soon(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_announced_preemption_puts_the_job_back_and_costs_it_nothing(
    realm: Realm, processes: Processes, endpoint: MetadataEndpoint, tmp_path: Path
) -> None:
    # Given a job on a machine that is watched for its end
    told = tmp_path / "told"
    ids = await push(realm, FIRST_TRY.format(told=told, wait=HEEDS.format(told=told)))
    doomed = processes.worker("--scheduled-events", endpoint.url)
    await until(lambda: lines_of(told) == ["begun"])

    # When its end is announced
    endpoint.announce("Preempt", at=soon(60))

    # Then the job is told, in both ways, and is back in the queue for others
    await until(lambda: lines_of(told) == ["begun", "term", "1"])
    stopped_at = time.monotonic()
    other = processes.worker("--exit-when-empty")
    assert await exit_code(other) == 0
    assert time.monotonic() - stopped_at < 20
    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tail, job.attempt, job.tries) == ("succeeded", "try 2", 2, {"preempted": 1})
    assert job.failures == 0

    # And the doomed machine takes nothing, until its end is withdrawn
    more = await push(realm, "true", batch="more")
    asked = endpoint.asked
    await until(lambda: endpoint.asked > asked + 2)
    assert await states(realm, more) == ["queued"]
    endpoint.withdraw()
    await until(lambda: _succeeded(realm, more))
    doomed.terminate()
    assert await exit_code(doomed) == 0
    await assert_counts_equal_rows(realm)


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_job_that_takes_its_time_is_killed_before_the_machine_goes(
    realm: Realm, processes: Processes, endpoint: MetadataEndpoint, tmp_path: Path
) -> None:
    # Given a job that does not care, and a worker that would give it two minutes
    told = tmp_path / "told"
    wait = "trap '' TERM; while :; do sleep 0.05; done"
    ids = await push(realm, FIRST_TRY.format(told=told, wait=wait))
    worker = processes.worker("--scheduled-events", endpoint.url, "--on-preempt", "exit", "--grace", "2m")
    await until(lambda: lines_of(told) == ["begun"])

    # When the machine goes in ten seconds
    announced_at = time.monotonic()
    endpoint.announce("Terminate", at=soon(10))

    # Then the worker has put it back, and has ended, before that
    assert await exit_code(worker) == 0
    assert time.monotonic() - announced_at < 10
    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tries, job.attempt) == ("queued", {"preempted": 1}, 1)


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_events_of_others_and_an_endpoint_in_trouble_stop_nobody(
    realm: Realm, processes: Processes, endpoint: MetadataEndpoint
) -> None:
    endpoint.announce("Preempt", machine="gpu_8", at=soon(30))
    endpoint.announce("Freeze", at=soon(30))
    worker = processes.worker("--scheduled-events", endpoint.url, "--grace", "1s")
    await until(lambda: endpoint.asked > 1)
    ids = await push(realm, shell("sleep 3; true"))

    endpoint.fails = 500
    await until(lambda: _succeeded(realm, ids))

    (job,) = await jobs(realm, ids)
    assert (job.attempt, job.tries) == (1, {})
    worker.terminate()
    assert await exit_code(worker) == 0


@pytest.mark.parametrize(("place", "what"), [("azurite", "job"), ("servicebus", "worker")], indirect=["place"])
async def test_preemption_can_be_rehearsed(realm: Realm, processes: Processes, tmp_path: Path, what: str) -> None:
    # Given a job that runs, beside another one
    told, over = tmp_path / "told", tmp_path / "over"
    ids = await push(
        realm, FIRST_TRY.format(told=told, wait=HEEDS.format(told=told)), f"until [ -e {over} ]; do sleep 0.1; done"
    )
    worker = processes.worker("-n", "2", "--grace", "1s")
    await until(lambda: _running(realm, ids))
    (first, _) = await jobs(realm, ids)

    # When it, or its worker, is preempted
    asked = processes.jobq("preempt", *([first.id] if what == "job" else ["--worker", first.worker]))
    assert await exit_code(asked) == 0

    # Then it is told, goes back uncounted, and runs again on the same worker; its neighbour only if that was meant, too
    await until(lambda: lines_of(told) == ["begun", "term", "1"])
    await until(lambda: _succeeded(realm, ids[:1]))
    over.touch()
    await until(lambda: _succeeded(realm, ids))
    done = await jobs(realm, ids)
    assert [(job.attempt, job.tries) for job in done] == [
        (2, {"preempted": 1}),
        (2, {"preempted": 1}) if what == "worker" else (1, {}),
    ]
    worker.terminate()
    assert await exit_code(worker) == 0


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_what_cannot_be_preempted_is_said(realm: Realm, processes: Processes) -> None:
    await push(realm, "true")

    answers = [
        await exit_code(processes.jobq("preempt", *arguments))
        for arguments in (["b-1"], ["no-such"], ["--worker", "no-such"], ["b-1", "--worker", "w"], [])
    ]

    assert answers == [1, 3, 3, 2, 2]
    assert "error: job b-1 is queued; only running jobs can be preempted" in processes.said(0)
    assert "error: there is no worker no-such" in processes.said(2)


async def _running(realm: Realm, ids: list[str]) -> bool:
    return set(await states(realm, ids)) == {"running"}


async def _succeeded(realm: Realm, ids: list[str]) -> bool:
    return set(await states(realm, ids)) == {"succeeded"}
