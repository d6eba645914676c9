"""Jobs that are calls of an async function: side by side in one process, each like a process of its own."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobq.core.logs import read_log
from jobq.core.realm import Realm
from jobq.model.job import Limits, Reason, Spec
from jobq.worker.run import run_worker
from tests.proof.world import assert_counts_equal_rows
from tests.stacks import Place
from tests.until import until
from tests.worker import functions
from tests.worker.attempts import is_alive
from tests.worker.running import call, jobs, push, states, work, working

on_azurite_too = pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)


def async_(name: str, **options: Any) -> dict[str, Any]:
    return {"proc": f"tests.worker.functions:{name}", "is_async": True, "slots": 8, **options}


@on_azurite_too
async def test_two_hundred_calls_wait_side_by_side_in_one_process(realm: Realm) -> None:
    ids = await push(realm, *[call(seconds=0.5)] * 200)
    started = time.monotonic()

    await work(realm, **async_("doze", slots=200))

    seconds = time.monotonic() - started
    done = await jobs(realm, ids)
    assert {job.state.value for job in done} == {"succeeded"}
    assert len({str(job.result) for job in done}) == 1
    assert seconds < 200 * 0.5 / 3
    await assert_counts_equal_rows(realm)


async def test_run_worker_lets_calls_of_an_async_function_share_a_process(place: Place, realm: Realm) -> None:
    ids = await push(realm, *[call(seconds=0.2)] * 4)

    await asyncio.to_thread(run_worker, str(place.address), handler=functions.doze, slots=4)

    assert len({str(job.result) for job in await jobs(realm, ids)}) == 1


@on_azurite_too
async def test_what_a_call_writes_goes_to_its_own_log(realm: Realm) -> None:
    ids = await push(realm, *[call(text=f"job {n}") for n in range(20)])

    await work(realm, **async_("say", slots=20))

    for n, job in enumerate(await jobs(realm, ids)):
        log = (await read_log(realm, job)).decode()
        said = f"job {n} "
        assert log == f"{said}1\n{said}2 \N{SNOWMAN}\n{said}3\n{said}4\n{said}5\n"
        assert job.result == f"job {n}"


async def test_text_of_an_exception_is_the_message_of_its_own_job(realm: Realm) -> None:
    ids = await push(realm, call(text="a"), call(retries=1, text="b"))

    await work(realm, **async_("fail_later"))

    done = await jobs(realm, ids)
    assert [(job.reason, job.exit_code, job.message) for job in done] == [
        ("exit", 1, "ValueError: a"),
        ("exit", 1, "ValueError: b"),
    ]
    assert [job.tries for job in done] == [{"exit": 1}, {"exit": 2}]
    assert "Traceback" in done[0].tail


async def test_call_that_asks_to_exit_ends_alone_with_that_code(realm: Realm) -> None:
    ids = await push(realm, call(code=3), call(code=0))

    await work(realm, **async_("exit_with"))

    assert [(job.reason, job.exit_code) for job in await jobs(realm, ids)] == [("exit", 3), (None, 0)]


async def test_arguments_that_do_not_fit_are_undecodable(realm: Realm) -> None:
    ids = await push(realm, call(3, words="x"), call(seconds=0))

    await work(realm, **async_("doze"))

    done = await jobs(realm, ids)
    assert [(job.reason, job.attempt) for job in done] == [("undecodable", 1), (None, 1)]
    assert "argument" in done[0].message


async def test_call_learns_who_it_is_and_tells_how_far(realm: Realm, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    spec = Spec(kwargs={"hold": str(hold)}, limits=Limits(timeout=timedelta(hours=1)))
    (job_id,) = await push(realm, spec)

    async with working(realm, **async_("about_me")) as worker:
        await until(lambda: worker.posts[realm.name].runner.jobs.attempts)
        ((_, attempt),) = worker.posts[realm.name].runner.jobs.attempts.values()
        await until(attempt.progress)
        told = attempt.progress()
        hold.unlink()
        await until(lambda: _are(realm, [job_id], "succeeded"))

    assert told is not None
    assert (told.fraction, told.text) == (0.25, "a quarter of it")
    result = (await jobs(realm, [job_id]))[0].result
    assert isinstance(result, dict)
    assert {**result, "pid": 0} == {
        "id": job_id, "attempt": 1, "has_deadline": True, "queue": realm.name, "greeting": "", "pid": 0
    }  # fmt: skip


async def test_plain_function_learns_who_it_is_the_same_way(realm: Realm) -> None:
    (job_id,) = await push(realm, call())

    await work(realm, proc="tests.worker.functions:about_me_alone")

    result = (await jobs(realm, [job_id]))[0].result
    assert isinstance(result, dict)
    assert (result["id"], result["has_deadline"]) == (job_id, False)


async def test_job_with_an_environment_of_its_own_has_an_interpreter_of_its_own(realm: Realm) -> None:
    ids = await push(realm, Spec(kwargs={}, env={"GREETING": "hi"}), *[Spec(kwargs={})] * 2)

    await work(realm, **async_("about_me"))

    results: list[Any] = [job.result for job in await jobs(realm, ids)]
    assert [result["greeting"] for result in results] == ["hi", "", ""]
    assert results[0]["pid"] != results[1]["pid"] == results[2]["pid"]


async def test_tasks_that_a_call_leaves_behind_are_ended(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, call(file=str(tmp_path / "left")))

    await work(realm, **async_("leave_task"))

    assert await states(realm, ids) == ["succeeded"]
    assert (tmp_path / "left").read_text() == "ended"


async def test_call_over_its_time_is_cancelled_and_its_neighbour_is_not(realm: Realm, tmp_path: Path) -> None:
    limits = Limits(timeout=timedelta(seconds=0.5))
    ids = await push(realm, Spec(kwargs={"seconds": 600}, limits=limits), call(seconds=1.5))

    await work(realm, **async_("doze"))

    late, other = await jobs(realm, ids)
    assert (late.state.value, late.reason) == ("failed", "timeout")
    assert (other.state.value, other.attempt) == ("succeeded", 1)


async def test_cancelled_call_may_clean_up(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, call(file=str(tmp_path / "on")))

    async with working(realm, **async_("tidy")) as worker:
        await until((tmp_path / "on").exists)
        worker.posts[realm.name].runner.cancel(ids[0])
        await until(lambda: _are(realm, ids, "cancelled"))

    (job,) = await jobs(realm, ids)
    assert job.tail == "cancelled"


async def test_preempted_call_is_told_so_and_goes_back(realm: Realm, tmp_path: Path) -> None:
    ids = await push(realm, call(file=str(tmp_path / "on")))

    async with working(realm, **async_("tidy")):
        await until((tmp_path / "on").exists)

    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.tries, job.tail) == ("queued", {"preempted": 1}, "preempted")


async def test_call_that_does_not_end_is_killed_and_its_neighbours_lose_no_attempt(
    realm: Realm, tmp_path: Path
) -> None:
    # Given a call that cannot be cancelled, and a neighbour
    hold = tmp_path / "hold"
    hold.touch()
    kwargs = {"file": str(tmp_path / "on")}
    ids = await push(realm, Spec(kwargs=kwargs, limits=Limits(timeout=timedelta(seconds=1))), call(hold=str(hold)))

    # When its time and its grace are over
    grace = timedelta(seconds=0.5)
    async with working(realm, **async_("stubborn_or_wait", grace=grace)):
        await until(lambda: _are(realm, ids[:1], "failed"))
        hold.unlink()
        await until(lambda: _are(realm, ids[1:], "succeeded"))

    # Then the other has run again
    killed, other = await jobs(realm, ids)
    assert (killed.reason, killed.exit_code) == ("timeout", 137)
    assert (other.attempt, other.tries) == (2, {"preempted": 1})


@on_azurite_too
@pytest.mark.parametrize(
    ("how", "reason", "code"), [("exit", "exit", 9), ("task", "exit", 9), ("segfault", "signal", 139)]
)
async def test_call_that_kills_the_process_fails_alone(
    realm: Realm, tmp_path: Path, how: str, reason: str, code: int
) -> None:
    # Given calls that wait, and one that ends their process
    hold = tmp_path / "hold"
    hold.touch()
    ids = await push(realm, *[call(hold=str(hold))] * 5)
    async with working(realm, **async_("misbehave")) as worker:
        await until(lambda: len(worker.posts[realm.name].runner.jobs.attempts) == 5)
        ids += await push(realm, call(how=how), batch="c")

        # When that has happened
        await until(lambda: _are(realm, ids[5:], "failed"))
        hold.unlink()
        await until(lambda: _are(realm, ids[:5], "succeeded"))

    # Then it has failed in its own way, and the others have lost no attempt
    *others, culprit = await jobs(realm, ids)
    assert (culprit.reason, culprit.exit_code, culprit.attempt) == (reason, code, 1)
    assert culprit.tail == ("last words" if how == "exit" else "")
    assert {(job.attempt, *job.tries.items()) for job in others} == {(2, (Reason.PREEMPTED, 1))}
    await assert_counts_equal_rows(realm)


async def test_process_that_ends_by_nobody_knows_whose_doing_costs_each_call_one_loss_and_then_one_runs_alone(
    realm: Realm, tmp_path: Path
) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    ids = await push(realm, *[call(hold=str(hold))] * 3)
    async with working(realm, **async_("misbehave")) as worker:
        await until(lambda: len(worker.posts[realm.name].runner.jobs.attempts) == 3)
        ids += await push(realm, call(how="callback"), batch="c")

        await until(lambda: _are(realm, ids[3:], "failed"))
        hold.unlink()
        await until(lambda: _are(realm, ids[:3], "succeeded"))

    *others, culprit = await jobs(realm, ids)
    assert (culprit.reason, culprit.exit_code, culprit.tries) == ("exit", 9, {"lost": 1, "exit": 1})
    assert {(job.attempt, *job.tries.items()) for job in others} == {(2, (Reason.LOST, 1))}


async def test_process_that_speaks_nonsense_to_its_worker_is_ended(realm: Realm) -> None:
    ids = await push(realm, call(how="socket"))

    await work(realm, **async_("misbehave"))

    (job,) = await jobs(realm, ids)
    assert (job.state.value, job.message) == ("failed", "killed by SIGKILL")


async def test_call_that_blocks_the_loop_does_not_stop_the_renewal_of_its_lease(realm: Realm, tmp_path: Path) -> None:
    # Given a call that holds up all others for several short leases
    started, hold = tmp_path / "started", tmp_path / "hold"
    hold.touch()
    ids = await push(realm, call(started=str(started), hold=str(hold)))
    async with working(realm, **async_("block", lease=timedelta(seconds=1))) as worker:
        await until(started.exists)
        (kept,) = worker.pool.renewer._kept.values()
        first = kept.lease.received_at

        # When its lease has been renewed beyond three of its lengths
        await until(lambda: kept.lease.received_at > first + 3)
        hold.unlink()
        await until(lambda: _are(realm, ids, "succeeded"))

    # Then it has run once
    assert started.read_text() == "1\n"
    assert (await jobs(realm, ids))[0].tries == {}


async def test_call_whose_lease_is_lost_ends_and_its_neighbour_goes_on(realm: Realm, tmp_path: Path) -> None:
    hold, on = tmp_path / "hold", tmp_path / "on"
    hold.touch()
    ids = await push(realm, call(hold=str(hold)), call(hold=str(on)))
    on.touch()
    async with working(realm, **async_("misbehave")) as worker:
        await until(lambda: len(worker.posts[realm.name].runner.jobs.attempts) == 2)
        _, attempt = worker.posts[realm.name].runner.jobs.attempts[ids[0]]
        _, other = worker.posts[realm.name].runner.jobs.attempts[ids[1]]
        await until(lambda: attempt._process and other._process)

        attempt.abandon()
        await until(lambda: ids[0] not in worker.posts[realm.name].runner.jobs.attempts)
        on.unlink()
        await until(lambda: _are(realm, ids[1:], "succeeded"))

    assert (await jobs(realm, ids[1:]))[0].tries == {}


async def test_nothing_of_a_call_goes_on_after_the_worker(realm: Realm) -> None:
    ids = await push(realm, call(seconds=0))
    await work(realm, **async_("doze"))

    (pid,) = (await jobs(realm, ids))[0].result  # type: ignore[misc]  # a list of one number
    await until(lambda: not is_alive(pid))  # type: ignore[arg-type]


async def _are(realm: Realm, ids: list[str], state: str) -> bool:
    return set(await states(realm, ids)) == {state}
