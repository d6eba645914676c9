"""A worker of several realms: the lowest lane of all first, in turns; all see it, and none keeps it from the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobq.core import operate
from jobq.core.erase import delete_realm
from jobq.core.pause import pause, resume
from jobq.core.ports import delete
from jobq.core.realm import Realm
from jobq.core.realm_settings import SettingsChange, change_settings
from jobq.core.rows import REALMS
from jobq.core.workers import live_workers, worker_rows
from jobq.errors import BadInput, NotFound
from jobq.model.job import Spec
from jobq.worker.run import run_worker
from jobq.worker.worker import Worker
from tests.proof.missing import MissingStack
from tests.proof.world import assert_counts_equal_rows
from tests.stacks import PLACES, Place
from tests.until import until
from tests.worker.running import push, shell, states, work, working

everywhere = pytest.mark.parametrize("place", PLACES, indirect=True)


@pytest.fixture
def other(realm: Realm) -> Realm:
    return realm.beside(f"{realm.name}b")


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_lowest_lane_of_all_realms_goes_first(realm: Realm, other: Realm, tmp_path: Path) -> None:
    # Given jobs too long to be received ahead
    order = tmp_path / "order"
    await push(realm, *[_noted(order, lane) for lane in ("late", "10", "1")])
    await push(other, *[_noted(order, lane) for lane in ("bulk", "9", "0")])

    await work(realm, realms=(other.name,))

    a, b = realm.name, other.name
    assert order.read_text().split() == [f"{b}/0", f"{a}/1", f"{b}/9", f"{a}/10", f"{b}/bulk", f"{a}/late"]


async def test_realms_take_turns_at_the_same_lane(realm: Realm, other: Realm, tmp_path: Path) -> None:
    order = tmp_path / "order"
    await push(realm, *[_noted(order, "0")] * 3)
    await push(other, *[_noted(order, "0")] * 3)

    await work(realm, realms=(other.name,))

    assert order.read_text().split() == [f"{realm.name}/0", f"{other.name}/0"] * 3


async def test_highest_lane_holds_for_all_realms(realm: Realm, other: Realm) -> None:
    ids = await push(realm, shell("true", lanes=("3",)), shell("true", lanes=("4",)))
    await push(other, shell("true", lanes=("3",)), shell("true", lanes=("4",)))

    await work(realm, realms=(other.name,), max_lane="3")

    assert await states(realm, ids) == await states(other, ids) == ["succeeded", "queued"]


async def test_job_in_two_lanes_runs_once(realm: Realm, other: Realm, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    await push(realm, shell(f"echo x >> {ran}", lanes=("0", "5")))
    await push(other, shell(f"echo y >> {ran}", lanes=("1", "late")))

    await work(realm, realms=(other.name,), slots=2)

    assert sorted(ran.read_text().split()) == ["x", "y"]


@everywhere
async def test_what_runs_is_counted_in_the_realm_that_it_is_of(realm: Realm, other: Realm, tmp_path: Path) -> None:
    # Given jobs of the same ids in two realms
    wait = f"echo $JOBQ_QUEUE_NAME > {tmp_path}/$JOBQ_QUEUE_NAME; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    ids = await push(realm, wait, "exit 1")
    await push(other, wait, "true")

    # When a worker runs them
    async with working(realm, realms=(other.name,), slots=2) as worker:
        await until(lambda: _is_seen(realm, ids[0]))
        await until(lambda: _is_seen(other, ids[0]))

        # Then it is the same worker that both see, each with its own job
        assert [view.id for view in await live_workers(realm)] == [worker.pool.worker]
        assert [view.id for view in await live_workers(other)] == [worker.pool.worker]
        assert (tmp_path / other.name).read_text() == f"{other.name}\n"
        (tmp_path / "go").touch()
        await until(lambda: _are_ended(realm, ids))
        await until(lambda: _are_ended(other, ids))

    assert await states(realm, ids) == ["succeeded", "failed"]
    assert await states(other, ids) == ["succeeded", "succeeded"]
    assert await live_workers(realm) == await live_workers(other) == []
    await assert_counts_equal_rows(realm)
    await assert_counts_equal_rows(other)


async def test_worker_ends_when_it_is_empty_everywhere(realm: Realm, other: Realm) -> None:
    await push(realm, "true")
    ids = await push(other, shell("test $JOBQ_ATTEMPT = 3", retries=2))

    await work(realm, realms=(other.name,))

    assert await states(other, ids) == ["succeeded"]


async def test_pull_runs_one_job_of_the_lowest_lane(realm: Realm, other: Realm) -> None:
    ids = await push(realm, shell("true", lanes=("2",)))
    await push(other, shell("true", lanes=("1",)))

    summary = await work(realm, realms=(other.name,), one=True)

    assert summary.started == 1
    assert (await states(realm, ids), await states(other, ids)) == (["queued"], ["succeeded"])


async def test_job_that_is_cancelled_is_stopped_in_its_own_realm_only(
    realm: Realm, other: Realm, tmp_path: Path
) -> None:
    # Given two jobs of one id
    wait = f"touch {tmp_path}/$JOBQ_QUEUE_NAME; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    ids = await push(realm, wait)
    await push(other, wait)
    async with working(realm, realms=(other.name,), slots=2):
        await until(lambda: (tmp_path / realm.name).exists() and (tmp_path / other.name).exists())

        # When that of the second realm is cancelled
        await operate.cancel(other, ids[0])

        # Then the other one goes on
        await until(lambda: _are_ended(other, ids))
        (tmp_path / "go").touch()
        await until(lambda: _are_ended(realm, ids))
    assert (await states(realm, ids), await states(other, ids)) == (["succeeded"], ["cancelled"])


async def test_worker_is_drained_from_any_of_its_realms(realm: Realm, other: Realm, tmp_path: Path) -> None:
    on, go = tmp_path / "on", tmp_path / "go"
    ids = await push(realm, f"touch {on}; until [ -e {go} ]; do sleep 0.05; done", "true")
    async with working(realm, realms=(other.name,), lease=timedelta(seconds=6)) as worker:  # so it beats often
        await until(on.exists)
        await until(lambda: live_workers(other))

        await operate.drain_worker(other, worker.pool.worker)

        await until(lambda: worker.is_draining)
        go.touch()
        await until(lambda: _are_ended(realm, ids[:1]))
    assert await states(realm, ids) == ["succeeded", "queued"]


async def test_paused_realm_keeps_nobody_from_the_others_and_is_not_empty(realm: Realm, other: Realm) -> None:
    # Given a realm that is paused, with something to do
    ids = await push(other, "true")
    await pause(other)
    await push(realm, "true")

    async with working(realm, realms=(other.name,), until="empty"):
        # When all else is done
        await until(lambda: _are_ended(realm, ids))
        assert await states(other, ids) == ["queued"]

        # Then the worker waits until that goes on
        await resume(other)
        await until(lambda: _are_ended(other, ids))


async def test_realm_that_is_being_deleted_keeps_nobody_from_the_others(realm: Realm, other: Realm) -> None:
    # Given a worker of two realms
    await push(other, "true", batch="before")
    async with working(realm, realms=(other.name,)):
        await until(lambda: live_workers(other))

        # When one of them is deleted
        await delete_realm(other)

        # Then the worker is seen there no more, and goes on in the other
        await until(lambda: _has_left(other))
        ids = await push(realm, "true")
        await until(lambda: _are_ended(realm, ids))

    # And nobody waits for what is left there
    await other.queue("0").send([b"left"])
    await work(realm, realms=(other.name,))
    assert (await other.queue("0").look(0)).messages == 1


@pytest.mark.parametrize("is_first", [False, True])
async def test_realm_without_a_queue_keeps_nobody_from_the_others(realm: Realm, other: Realm, is_first: bool) -> None:
    # Given a realm whose queue is gone
    ids = await push(realm, "true")
    await push(other, "true")
    first, second = (other, realm) if is_first else (realm, other)
    lacking = Realm(MissingStack(realm.stack, other.name), first.name)

    # When a worker runs until nothing is queued
    summary = await work(lacking, realms=(second.name,))

    # Then it has run what it can, and does not end as if the rest were nothing
    assert (await states(realm, ids), await states(other, ids)) == (["succeeded"], ["queued"])
    assert isinstance(summary.error, NotFound)


async def test_worker_none_of_whose_queues_is_there_says_so(realm: Realm, other: Realm) -> None:
    lacking = Realm(MissingStack(realm.stack, realm.name, other.name), realm.name)

    summary = await work(lacking, realms=(other.name,), until="forever")

    assert isinstance(summary.error, NotFound)


async def test_new_realm_is_noticed(realm: Realm, other: Realm) -> None:
    # Given a worker for all realms, and others that were never used
    ids = await push(realm, "true")
    async with working(realm, all_realms=True) as worker:
        await until(lambda: _are_ended(realm, ids))

        # When there is one more
        await push(other, "true")

        # Then its job is run, and the worker is seen there
        await until(lambda: _are_ended(other, ids))
        await until(lambda: live_workers(other))
        assert _realms_of(worker) == {realm.name, other.name}
    assert await worker_rows(other) == []


async def test_realm_that_is_gone_is_left(realm: Realm, other: Realm) -> None:
    # Given a worker for all realms
    await push(other, "true")
    async with working(realm, all_realms=True) as worker:
        await until(lambda: live_workers(other))

        # When one is gone
        row = await other.row()
        assert row is not None
        await other.stack.table.commit(REALMS, [delete(row.key, row.etag)])

        # Then it has no post there, until there is such a realm again
        await until(lambda: _realms_of(worker) == {realm.name})
        assert await worker_rows(other) == []
        ids = await push(realm.beside(other.name), "true", batch="again")
        await until(lambda: _are_ended(other, ids))


async def test_worker_for_all_realms_ends_when_all_are_empty(realm: Realm, other: Realm) -> None:
    ids = await push(other, shell("test $JOBQ_ATTEMPT = 2", retries=1))

    await work(realm, all_realms=True)

    assert await states(other, ids) == ["succeeded"]


async def test_worker_is_believed_for_as_long_as_what_it_runs_is_leased(realm: Realm, tmp_path: Path) -> None:
    """Else the jobs of a dead one would be counted as running, too, when others have taken them over."""
    # Given lanes with leases of their own
    leases = {"1": timedelta(seconds=40), "2": timedelta(seconds=50)}
    await change_settings(realm, SettingsChange(lane_leases=leases))
    await realm.open_lanes(["0"])
    async with working(realm, slots=2):
        await until(lambda: _is_believed_for(realm, timedelta(minutes=10)))

        # When jobs of them run
        wait = f"touch {tmp_path}/$JOBQ_JOB_ID; until [ -e {tmp_path}/go-$JOBQ_JOB_ID ]; do sleep 0.05; done"
        one, two = await push(realm, shell(wait, lanes=("1",)), shell(wait, lanes=("2",)))

        # Then the longest of theirs counts
        await until(lambda: _is_believed_for(realm, leases["2"]))
        (tmp_path / f"go-{two}").touch()
        await until(lambda: _is_believed_for(realm, leases["1"]))
        (tmp_path / f"go-{one}").touch()
        await until(lambda: _is_believed_for(realm, timedelta(minutes=10)))


async def test_python_names_further_realms(place: Place, realm: Realm, other: Realm) -> None:
    await push(realm, "true")
    await push(other, "true", "false")

    assert await _run_worker(place, realms=[other.name]) == {"succeeded": 2, "failed": 1, "cancelled": 0}
    with pytest.raises(BadInput, match="'No Realm' is not a realm's name"):
        await _run_worker(place, realms=["No Realm"])


def _noted(order: Path, lane: str) -> Spec:
    """A job too long for others to be received ahead, that says whose it is."""
    return shell(f"echo $JOBQ_QUEUE_NAME/{lane} >> {order}; sleep 0.4", lanes=(lane,))


async def _run_worker(place: Place, **options: Any) -> dict[str, int]:
    return await asyncio.to_thread(run_worker, str(place.address), **options)


def _realms_of(worker: Worker) -> set[str]:
    return {post.realm.name for post in worker.posts}


async def _is_believed_for(realm: Realm, time: timedelta) -> bool:
    """To the second: a delivery's lease has begun when it comes."""
    (view,) = await live_workers(realm) or [None]
    return view is not None and abs(view.expires_at - view.beat_at - time) < timedelta(seconds=1)


async def _has_left(realm: Realm) -> bool:
    return await worker_rows(realm) == []


async def _is_seen(realm: Realm, job_id: str) -> bool:
    return any(job_id in worker.running for worker in await live_workers(realm))


async def _are_ended(realm: Realm, ids: list[str]) -> bool:
    return not {"queued", "running"} & {*await states(realm, ids)}
