"""Realms on every stack: jobs added again, moved, and deleted with all that is theirs; leases that are set."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from jobq.core.erase import delete_realm, erase
from jobq.core.operate import move_lane
from jobq.core.realm import CLOSED_FOR
from jobq.core.realm_settings import NO_LEASE, SettingsChange, change_settings, settings_of
from jobq.core.sweep import sweep
from jobq.errors import IllegalTransition
from jobq.model.job import IfExists, JobState, PushStatus
from jobq.model.names import SHARDS
from tests.behaviour.conftest import Stage
from tests.proof.actors import FAILED, always
from tests.proof.faults import Fault, FaultyStack, Killed
from tests.proof.world import assert_counts_equal_rows, jobs_in, new_job

LARGE = "x" * 40_000


async def a_realm(stage: Stage) -> None:
    """Jobs in two lanes, one of which has failed, and blobs."""
    jobs = [new_job(f"b-{n}", tags=("t",), command=LARGE) for n in range(1, 4)]
    await stage.world.push(*jobs, new_job("b-4", lanes=("0", "1")), new_job("b-5", lanes=("1",)))
    worker = stage.worker()
    worker.outcome = always(FAILED)
    await stage.work(worker)


async def rows_and_blobs(stage: Stage) -> list[str]:
    stack, name = stage.realm.stack, stage.realm.name
    places = [f"{name}~{part}" for part in [*range(SHARDS), "workers", "sweep"]]
    rows = [row.key for place in places for row in await stack.table.scan(place, "")]
    kinds = ("payload", "result", "log", "checkpoint", "file")
    return rows + [key for kind in kinds for key in await stack.blobs.list(f"{kind}/{name}/")]


async def assert_begins_anew(stage: Stage) -> None:
    stage.world.realm = stage.world.process()
    await stage.world.push(new_job("b-1", tags=("t",)), new_job("b-5", lanes=("1",)))
    worker = stage.worker()
    for lane in ("0", "1"):
        while not await stage.is_empty(lane):
            await stage.work(worker, lane=lane)
    assert worker.started == {"b-1": 1, "b-5": 1}
    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.id: job.state for job in jobs.values()} == dict.fromkeys(("b-1", "b-5"), JobState.SUCCEEDED)


async def test_deleted_realm_is_gone_and_its_name_begins_anew(stage: Stage) -> None:
    await a_realm(stage)

    await delete_realm(stage.realm)
    with pytest.raises(IllegalTransition, match="is being deleted"):
        await stage.world.push(new_job("b-6"))
    assert not await erase(stage.realm)
    assert await jobs_in(stage.realm) == {}
    stage.pass_time(CLOSED_FOR)
    assert await erase(stage.realm)

    assert await stage.realm.row() is None
    assert await rows_and_blobs(stage) == []
    assert [await stage.is_empty(lane) for lane in ("0", "1")] == [True, True]
    await assert_begins_anew(stage)


@pytest.mark.parametrize("call", ["table.commit", "queue.complete", "blob.delete"])
async def test_deletion_that_was_cut_off_is_carried_on_by_the_sweeper(stage: Stage, call: str) -> None:
    # Given a realm whose eraser has died at its work
    await a_realm(stage)
    await delete_realm(stage.realm)
    stack = FaultyStack(stage.realm.stack)
    stack.break_at(call, Fault.KILLED_AFTER)
    with suppress(Killed):
        await erase(stage.world.process(stack))
    assert stack.calls.count(call) == 1

    # When sweepers come, and in the end, when everybody knows
    await sweep(stage.realm)
    stage.pass_time(CLOSED_FOR)
    await sweep(stage.world.process())

    # Then it is gone
    assert await stage.realm.row() is None
    assert await rows_and_blobs(stage) == []


async def test_next_use_of_a_deleted_realms_name_erases_it_first(stage: Stage) -> None:
    await a_realm(stage)
    await delete_realm(stage.realm)
    stage.pass_time(CLOSED_FOR)

    await assert_begins_anew(stage)


async def test_job_added_again_is_in_both_lanes_with_both_tags_and_runs_once(stage: Stage) -> None:
    await stage.world.push(new_job("the dishes", tags=("house work",), command=LARGE), batch="add")

    again = new_job("the dishes", tags=("a/b c",), lanes=("1",), command=LARGE)
    [answer] = await stage.world.push(again, batch="add", if_exists=IfExists.ADD)
    other = new_job("the dishes", command=LARGE + "y")
    [conflict] = await stage.world.push(other, batch="add", if_exists=IfExists.ADD)

    assert (answer.status, answer.state) == (PushStatus.EXISTS, JobState.QUEUED)
    assert (conflict.status, conflict.error[:8]) == (PushStatus.REFUSED, "conflict")
    job = await stage.world.job("the dishes")
    assert (job.spec.tags, job.spec.lanes) == (("house work", "a/b c"), ("0", "1"))
    worker = stage.worker()
    for lane in ("1", "0"):
        while not await stage.is_empty(lane):
            await stage.work(worker, lane=lane)
    assert worker.started == {"the dishes": 1}
    await assert_counts_equal_rows(stage.realm)

    [anew] = await stage.world.push(again, batch="add", if_exists=IfExists.ADD)
    assert (anew.status, anew.state) == (PushStatus.QUEUED, JobState.QUEUED)
    await stage.work(worker, lane="1")
    assert worker.started == {"the dishes": 2}
    await assert_counts_equal_rows(stage.realm)


async def test_moved_job_runs_in_its_new_lane(stage: Stage) -> None:
    await stage.world.push(new_job("b-1"), new_job("b-2"))
    await move_lane(stage.realm, "b-1", "0", "1")
    worker = stage.worker()

    await stage.work(worker, lane="1")
    while not await stage.is_empty("0"):
        await stage.work(worker, lane="0")

    assert worker.started == {"b-1": 1, "b-2": 1}
    await assert_counts_equal_rows(stage.realm)


async def test_leases_are_set_before_the_first_push_and_seen_by_every_process(stage: Stage) -> None:
    minute = timedelta(minutes=1)
    await change_settings(stage.realm, SettingsChange(lease=90 * minute, lane_leases={"1": minute, "7": 2 * minute}))
    await stage.world.push(new_job("b-1", lanes=("1",)))
    await change_settings(stage.realm, SettingsChange(lane_leases={"7": NO_LEASE}))

    settings = await settings_of(stage.world.process())

    assert settings.lanes == ("0", "1")
    assert [settings.lease_of(lane) for lane in ("0", "1", "7")] == [90 * minute, minute, 90 * minute]
