"""A realm that is deleted while a worker is at work in it: the job is stopped, and the name begins anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from jobq.core.erase import delete_realm, erase
from jobq.core.realm import CLOSED_FOR, Realm
from jobq.model.durations import utc_now
from jobq.model.job import JobState
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows, jobs_in
from tests.until import until
from tests.worker.running import push, states

LEASE = ("--visibility-timeout", "4s")


def later() -> datetime:
    return utc_now() + CLOSED_FOR


async def test_worker_stops_what_it_runs_of_a_deleted_realm_and_serves_the_next_one_of_that_name(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    # Given a worker with a job that runs, and another that waits
    ran = tmp_path / "ran"
    stopped = f"trap 'echo stopped >> {ran}; exit 0' TERM"
    await push(realm, f"{stopped}; echo started >> {ran}; while [ -e {hold} ]; do sleep 0.1; done")
    worker = processes.worker(*LEASE)
    await until(lambda: lines_of(ran) == ["started"])
    await push(realm, f"echo no >> {ran}", batch="c")

    # When the realm is deleted
    await delete_realm(realm)

    async def is_stopped() -> bool:
        await erase(realm)
        return lines_of(ran) == ["started", "stopped"]

    await until(is_stopped)
    realm.now = later
    await until(lambda: erase(realm))
    assert await jobs_in(realm) == {}

    # Then the same worker serves the realm that comes after it, and nothing has come back
    ids = await push(realm, f"echo again >> {ran}")
    await until(lambda: _is_done(realm, ids))
    assert lines_of(ran) == ["started", "stopped", "again"]
    assert list(await assert_counts_equal_rows(realm)) == ids
    worker.terminate()
    assert await exit_code(worker) == 0
    assert "Traceback" not in processes.said(0)


async def _is_done(realm: Realm, ids: list[str]) -> bool:
    return await states(realm, ids) == [JobState.SUCCEEDED]
