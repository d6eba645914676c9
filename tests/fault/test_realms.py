"""A worker of two realms that dies in the midst of a job of each."""

from __future__ import annotations

from pathlib import Path

from jobq.core.realm import Realm
from tests.fault.processes import Processes, exit_code, lines_of
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.running import jobs, push, states

LEASE = ("--visibility-timeout", "4s")


async def test_jobs_of_both_realms_of_a_killed_worker_are_taken_over(
    realm: Realm, processes: Processes, hold: Path, tmp_path: Path
) -> None:
    # Given a worker of two realms, killed in the midst of a job of each
    other, ran = realm.beside(f"{realm.name}b"), tmp_path / "ran"
    first = f"[ $JOBQ_ATTEMPT -gt 1 ] || while [ -e {hold} ]; do sleep 0.1; done"
    command = f"echo $JOBQ_QUEUE_NAME/$JOBQ_ATTEMPT >> {ran}; {first}"
    ids = await push(realm, command)
    await push(other, command)
    killed = processes.worker(*LEASE, "-n", "2", "--realms", other.name)
    await until(lambda: len(lines_of(ran)) == 2)
    killed.kill()

    # When another one comes, by way of the other realm
    came = processes.jobq(other.address, "worker", "--forever", *LEASE, "--realms", realm.name)
    await until(lambda: _all_succeeded(realm, other, ids))
    came.terminate()
    assert await exit_code(came) == 0

    # Then both have run again, and all is counted where it belongs
    assert sorted(lines_of(ran)) == sorted(f"{name}/{n}" for name in (realm.name, other.name) for n in (1, 2))
    for one in (realm, other):
        assert [(job.attempt, job.tries) for job in await jobs(one, ids)] == [(2, {"lost": 1})]
        assert (await one.queue("0").look(0)).messages == 0
        await assert_counts_equal_rows(one)


async def _all_succeeded(realm: Realm, other: Realm, ids: list[str]) -> bool:
    return {*await states(realm, ids), *await states(other, ids)} == {"succeeded"}
