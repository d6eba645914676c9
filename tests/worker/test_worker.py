"""When a worker ends, what it takes first, and what it gives back."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.core import operate
from jobq.core.realm import Realm
from jobq.core.status import realm_status
from jobq.core.workers import live_workers
from jobq.model.job import JobState
from tests.proof.world import assert_counts_equal_rows, outbox_rows
from tests.stacks import PLACES
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import ONE_SHARD, jobs, push, shell, states, work, working

everywhere = pytest.mark.parametrize("place", PLACES, indirect=True)


@everywhere
async def test_worker_runs_what_is_there_and_ends(realm: Realm) -> None:
    ids = await push(realm, *["echo hi"] * 9, "exit 1")

    summary = await work(realm, slots=4)

    assert summary.ends == {JobState.SUCCEEDED: 9, JobState.FAILED: 1}
    assert await states(realm, ids) == ["succeeded"] * 9 + ["failed"]
    await assert_counts_equal_rows(realm)
    assert await outbox_rows(realm) == 0
    assert await realm.queue("0").depth() == 0
    assert await live_workers(realm) == []


@everywhere
@pytest.mark.parametrize("chunk", [1, 2])
async def test_every_slot_is_filled_though_no_job_ends(realm: Realm, tmp_path: Path, chunk: int) -> None:
    wait = f"until [ -e {tmp_path}/over ]; do sleep 0.05; done"
    ids = await push(realm, *[wait] * 4, chunk=chunk, ids=ONE_SHARD)

    async with working(realm, slots=4):
        await until(lambda: _are(realm, ids, "running"))
        (tmp_path / "over").touch()
        await until(lambda: _are(realm, ids, "succeeded"))


@everywhere
async def test_worker_that_ends_when_empty_waits_for_a_delayed_retry(realm: Realm) -> None:
    (job_id,) = await push(realm, shell("test $JOBQ_ATTEMPT = 3", retries=2))

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.attempt, job.tries) == ("succeeded", 3, {"exit": 2})


async def test_worker_for_ever_waits_until_it_is_stopped(realm: Realm) -> None:
    first = await push(realm, "true", batch="a")
    async with working(realm):
        await until(lambda: _are(realm, first, "succeeded"))
        second = await push(realm, "true", batch="b")
        await until(lambda: _are(realm, second, "succeeded"))


async def test_idle_worker_ends_after_its_idle_time_counted_from_the_end_of_its_last_job(realm: Realm) -> None:
    await push(realm, "sleep 1.5")
    started = time.monotonic()

    await work(realm, until="idle", idle_timeout=timedelta(seconds=1))

    assert 2.5 <= time.monotonic() - started < 30


async def test_drained_worker_finishes_what_runs_and_takes_nothing_new(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, f"touch {tmp_path}/on; until [ -e {tmp_path}/go ]; do sleep 0.05; done", "true")
    async with working(realm) as worker:
        await until((tmp_path / "on").exists)
        worker.drain()
        (tmp_path / "go").touch()
        await until(lambda: _are(realm, ids[:1], "succeeded"))

    assert await states(realm, ids) == ["succeeded", "queued"]


@everywhere
async def test_lower_lanes_go_first(realm: Realm, tmp_path: Path) -> None:
    # Given jobs too long for their claims to go out together
    order = tmp_path / "order"
    command = f"echo {{}} >> {order}; sleep 0.4"
    specs = [shell(command.format(lane), lanes=(lane,)) for lane in ("10", "2", "late", "0") for _ in range(2)]
    await push(realm, *specs)

    await work(realm)

    assert order.read_text().split() == ["0", "0", "2", "2", "10", "10", "late", "late"]


async def test_lanes_after_the_highest_asked_for_are_left_alone(realm: Realm) -> None:
    ids = await push(realm, *[shell("true", lanes=(lane,)) for lane in ("0", "3", "4", "late")])

    await work(realm, max_lane="3")

    assert await states(realm, ids) == ["succeeded", "succeeded", "queued", "queued"]


async def test_job_in_two_lanes_runs_once(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, shell(f"echo x >> {tmp_path}/ran", lanes=("0", "5")))

    await work(realm, slots=2)

    assert (tmp_path / "ran").read_text() == "x\n"
    assert await states(realm, ids) == ["succeeded"]
    assert await realm.queue("5").depth() == 0


@everywhere
async def test_chunks_run_every_job_once(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, *[f"echo $JOBQ_JOB_ID >> {tmp_path}/ran"] * 60, chunk=8)

    await work(realm, slots=3)

    assert sorted((tmp_path / "ran").read_text().split()) == sorted(ids)
    assert await states(realm, ids) == ["succeeded"] * 60
    assert await realm.queue("0").depth() == 0
    await assert_counts_equal_rows(realm)


async def test_slow_tail_of_a_chunk_is_given_back_for_others(
    realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a chunk whose jobs wait for each other: the first ends when the last has run
    monkeypatch.setattr("jobq.worker.ticket_run.TAIL_SECONDS", 0.5)
    done = tmp_path / "done"
    done.mkdir()
    first, other = f"until [ $(ls {done} | wc -l) = 3 ]; do sleep 0.05; done", f"touch {done}/$JOBQ_JOB_ID"
    ids = await push(realm, first, other, other, other, chunk=4, ids=ONE_SHARD)

    # When a worker with one slot has it, beside another one
    async with working(realm), working(realm):
        await until(lambda: _are(realm, ids, "succeeded"))

    # Then all have run, and being given back counts for nothing
    assert [(job.attempt, job.tries) for job in await jobs(realm, ids)] == [(1, {})] * len(ids)
    await assert_counts_equal_rows(realm)


async def test_tickets_received_ahead_come_back_for_others_when_a_job_takes_long(realm: Realm, tmp_path: Path) -> None:
    # Given a worker that runs short jobs, and then meets one that does not end
    go = tmp_path / "go"
    long = f"touch {tmp_path}/on; until [ -e {go} ]; do sleep 0.05; done"
    await push(realm, *["true"] * 60, long, *["true"] * 20)
    async with working(realm):
        await until((tmp_path / "on").exists)
        started = time.monotonic()

        # When another worker comes, then what is left is done soon
        async with working(realm):
            await until(lambda: _ended(realm, 80))
            print(f"the rest was done {time.monotonic() - started:.1f} s after the long job began")
            assert time.monotonic() - started < 20
        go.touch()
        await until(lambda: _ended(realm, 81))
    await assert_counts_equal_rows(realm)


async def test_too_many_failures_in_a_row_end_the_worker_with_an_error(realm: Realm) -> None:
    ids = await push(realm, "true", "false", "false", "true", *["false"] * 3, *["sleep 0.3"] * 8)

    summary = await work(realm, max_consecutive_failures=2)

    assert "3 failures in a row" in str(summary.error)
    assert (await states(realm, ids))[:7] == ["succeeded", "failed", "failed", "succeeded", *["failed"] * 3]
    assert (await states(realm, ids))[-1] == "queued"


async def test_time_limit_puts_jobs_back_uncounted(realm: Realm) -> None:
    (job_id,) = await push(realm, "sleep 60")
    started = time.monotonic()

    await work(realm, time_limit=timedelta(seconds=0.5), until="forever")

    (job,) = await jobs(realm, [job_id])
    assert time.monotonic() - started < 30
    assert (job.state.value, job.failures, job.tries) == ("queued", 0, {"preempted": 1})
    assert await realm.queue("0").depth() == 1


@everywhere
async def test_running_job_that_is_cancelled_is_stopped(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, f"touch {tmp_path}/on; sleep 600", "true")
    async with working(realm):
        await until((tmp_path / "on").exists)
        await operate.cancel(realm, ids[0])
        await until(lambda: _are(realm, ids[:1], "cancelled"))
        await until(lambda: _are(realm, ids[1:], "succeeded"))
    await assert_counts_equal_rows(realm)


async def test_running_job_that_is_removed_is_stopped_and_gone(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, f"touch {tmp_path}/on; sleep 600", "true")
    async with working(realm):
        await until((tmp_path / "on").exists)
        await operate.remove(realm, ids[0])
        await until(lambda: _is_gone(realm, ids[0]))
        await until(lambda: _are(realm, ids[1:], "succeeded"))
    await assert_counts_equal_rows(realm)


async def test_claimed_job_that_is_cancelled_before_it_starts_is_not_started(realm: Realm, tmp_path: Path) -> None:
    # Given a chunk of two in a worker with one slot
    first = f"touch {tmp_path}/on; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    _, waiting = await push(realm, first, f"touch {tmp_path}/never", chunk=2, ids=ONE_SHARD[:2])
    async with working(realm) as worker:
        await until((tmp_path / "on").exists)

        # When the second is cancelled while it waits
        await operate.cancel(realm, waiting)
        await until(lambda: waiting in worker.posts[realm.name].runner.cancelled)
        (tmp_path / "go").touch()

        # Then it is not started
        await until(lambda: _are(realm, [waiting], "cancelled"))
    assert not (tmp_path / "never").exists()


async def test_pull_runs_one_job(realm: Realm) -> None:
    ids = await push(realm, "true", "true")

    summary = await work(realm, one=True)

    assert summary.started == 1
    assert sorted(await states(realm, ids)) == ["queued", "succeeded"]


async def test_pull_passes_over_a_ticket_of_a_job_that_is_gone(realm: Realm) -> None:
    ids = await push(realm, "true", "true")
    await operate.cancel(realm, ids[0])

    summary = await work(realm, one=True)

    assert summary.started == 1
    assert await states(realm, ids) == ["cancelled", "succeeded"]


async def test_pull_of_an_empty_queue_ends(realm: Realm) -> None:
    assert (await work(realm, one=True)).started == 0


async def test_status_says_what_runs(realm: Realm, tmp_path: Path) -> None:
    await push(realm, shell(f"touch {tmp_path}/on; sleep 600", tags=("t",)), shell("true", tags=("t",)))
    async with working(realm):
        await until((tmp_path / "on").exists)
        await until(lambda: _runs(realm, "t", 1))

    status = await realm_status(realm)
    assert (status.tags["t"].running, status.tags["t"].queued, status.workers) == (0, 2, 0)


async def test_worker_whose_side_task_dies_does_not_go_on(realm: Realm, tmp_path: Path) -> None:
    await push(realm, f"echo $$ > {tmp_path}/on; sleep 600")
    with pytest.raises(ExceptionGroup, match="unhandled"):  # noqa: PT012
        async with working(realm) as worker:
            await until((tmp_path / "on").exists)
            worker.pool.renewer._kept[0] = None  # type: ignore[assignment]  # what nobody foresaw
            worker.pool.renewer._changed.set()
            await asyncio.Event().wait()
    await until(lambda: not is_alive(int((tmp_path / "on").read_text())))


async def _are(realm: Realm, ids: list[str], state: str) -> bool:
    return set(await states(realm, ids)) == {state}


async def _is_gone(realm: Realm, job_id: str) -> bool:
    return await realm.find(job_id) is None


async def _runs(realm: Realm, tag: str, count: int) -> bool:
    return (await realm_status(realm)).tags[tag].running == count


async def _ended(realm: Realm, count: int) -> bool:
    return (await realm_status(realm)).realm.counts.ended == count
