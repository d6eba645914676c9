"""Jobs that each note that they ran: however many workers and killed pushes there were, once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Process, Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows, jobs_in, outbox_rows
from tests.until import until

PUSH_KILLS = 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "count", "chunk"), [("local", 500, 1), ("azurite", 100, 1), ("servicebus", 100, 1)], indirect=["place"]
)
async def test_two_workers_run_every_job_once(
    realm: Realm, processes: Processes, tmp_path: Path, count: int, chunk: int
) -> None:
    # Given many jobs
    ran = tmp_path / "ran"
    lines = f"echo $JOBQ_JOB_ID >> {ran}\n" * count
    assert await exit_code(processes.jobq("push", "--batch", "b", "--chunk", str(chunk), lines=lines)) == 0

    # When two workers share them
    workers = [processes.worker("--exit-when-empty", "-n", "4", "-q") for _ in range(2)]
    assert [await exit_code(worker) for worker in workers] == [0, 0]

    # Then
    rows = await assert_counts_equal_rows(realm)
    assert sorted(lines_of(ran)) == sorted(rows)
    assert len(rows) == count
    assert {(job.state.value, job.attempt) for job in rows.values()} == {("succeeded", 1)}
    assert {job.worker for job in rows.values()} != {next(iter(rows.values())).worker}


@pytest.mark.slow
@pytest.mark.parametrize(("place", "count"), [("local", 40), ("azurite", 8), ("servicebus", 8)], indirect=["place"])
async def test_push_that_was_killed_and_is_repeated_leaves_every_job_once(
    realm: Realm, processes: Processes, tmp_path: Path, count: int
) -> None:
    # Given how long a push takes
    ran = tmp_path / "ran"
    lines = f"echo $JOBQ_JOB_ID >> {ran}\n" * count
    started = time.monotonic()
    assert await exit_code(processes.jobq("push", "--batch", "p0", lines=lines)) == 0
    seconds = time.monotonic() - started

    # When others are killed somewhere in between, and then repeated
    left = []
    for n in range(1, PUSH_KILLS + 1):
        push = processes.jobq("push", "--batch", f"p{n}", lines=lines)
        await _kill_after(push, seconds * (0.4 + 0.35 * n / PUSH_KILLS))
        left.append(len(await jobs_in(realm)) - n * count)
        assert await exit_code(processes.jobq("push", "--batch", f"p{n}", lines=lines)) == 0
        assert len(await assert_counts_equal_rows(realm)) == (n + 1) * count
    print(f"a push takes {seconds:.2f} s; the killed ones left {left} of {count}")

    # Then a worker runs every job once
    assert await exit_code(processes.worker("--exit-when-empty", "-n", "4", "-q")) == 0
    rows = await assert_counts_equal_rows(realm)
    assert sorted(lines_of(ran)) == sorted(rows)
    assert len(rows) == (PUSH_KILLS + 1) * count
    assert await outbox_rows(realm) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("place", "count"), [("local", 60), ("azurite", 10), ("servicebus", 10)], indirect=["place"])
async def test_jobs_of_a_push_that_was_killed_and_not_repeated_all_run_once(
    realm: Realm, processes: Processes, tmp_path: Path, count: int
) -> None:
    # Given pushes killed as soon as their first rows are there, or a little later
    ran = tmp_path / "ran"
    lines = f"echo $JOBQ_JOB_ID >> {ran}\n" * count
    for n in range(PUSH_KILLS):
        before = len(await jobs_in(realm))
        push = processes.jobq("push", "--batch", f"p{n}", lines=lines)
        await until(lambda before=before: _has_more(realm, before), poll_seconds=0.001)  # type: ignore[misc]  # bound now
        await _kill_after(push, 0.004 * n)
    print(f"they left {len(await jobs_in(realm))} jobs, and {await outbox_rows(realm)} outbox rows")

    # When a worker runs what is there
    assert await exit_code(processes.worker("--exit-when-empty", "-n", "4", "-q")) == 0

    # Then every row has run, once
    rows = await assert_counts_equal_rows(realm)
    assert sorted(lines_of(ran)) == sorted(rows)
    assert await outbox_rows(realm) == 0


async def _has_more(realm: Realm, before: int) -> bool:
    return len(await jobs_in(realm)) > before


async def _kill_after(process: Process, seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    await until(lambda: process.poll() is not None or time.monotonic() >= ends_at, poll_seconds=0.005)
    process.kill()
    await exit_code(process)
