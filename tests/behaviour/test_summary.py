"""What a page that polls is shown of a realm and its past, wherever the realm's tables are."""

from __future__ import annotations

from datetime import timedelta

from jobq.core.api import Filter, RealmApi
from jobq.core.meter import Meter, metered
from jobq.core.operate import remove, retry
from jobq.core.realm import Realm
from jobq.core.sweep import FOLD_AFTER, sweep
from jobq.model.job import Outcome, Reason
from jobq.model.series import Range
from tests.behaviour.conftest import Stage
from tests.proof.actors import PREEMPTED, always
from tests.proof.world import new_job

MINUTE = timedelta(minutes=1)


async def test_summary_counts_what_happened_and_what_is_left_through_folds_and_removals(stage: Stage) -> None:
    # Given jobs that end in all ways
    await stage.world.push(*(new_job(f"b-{n}", tags=("t",)) for n in range(1, 5)))
    outcomes = [
        PREEMPTED,
        Outcome(seconds=20),
        Outcome(Reason.EXIT, exit_code=1, tail="loss is 0.5 at step 70\nüble Sache 0x7f"),
        Outcome(Reason.OOM, tail="killed"),
    ]
    for outcome in outcomes:
        worker = stage.worker()
        worker.outcome = always(outcome)
        await stage.work(worker)

    # Then
    found = await RealmApi(stage.realm).summary()
    assert found["counts"] == {"total": 4, "queued": 1, "running": 0, "succeeded": 1, "failed": 2, "cancelled": 0}
    assert [(own["tag"], own["failed"]) for own in found["tags"]] == [("t", 2)]
    [batch] = found["batches"]
    assert (batch["batch"], batch["queued"], batch["preempted"]) == ("b", 1, 1)
    assert {(own["line"], own["jobs"]) for own in found["failures"]} == {("exit: üble Sache #", 1), ("oom: killed", 1)}
    assert sum(found["durations"]["counts"]) == 1

    # When all that failed or succeeded is tried again or goes, and counters are folded
    jobs = (await RealmApi(stage.realm).jobs(Filter()))["jobs"]
    for job in jobs:
        if job["state"] == "failed":
            await retry(stage.realm, job["id"])
        if job["state"] == "succeeded":
            await remove(stage.realm, job["id"])
    stage.pass_time(2 * FOLD_AFTER)
    assert (await sweep(stage.realm)).folded

    # Then
    found = await RealmApi(stage.realm).summary()
    assert found["counts"] == {"total": 3, "queued": 3, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0}
    assert (found["failures"], found["batches"][0]["preempted"]) == ([], 1)
    assert sum(found["durations"]["counts"]) == 1


async def test_history_is_written_by_sweeps_and_rates_come_of_it(stage: Stage) -> None:
    moment = stage.world.clock.now()
    stage.pass_time(moment.replace(second=0, microsecond=0) + MINUTE - moment)
    await stage.world.push(*(new_job(f"b-{n}") for n in range(1, 5)))
    worker = stage.worker()
    await sweep(stage.realm)
    for _ in range(2):
        await stage.work(worker)
        stage.pass_time(MINUTE)
        await sweep(stage.world.process())

    points = (await RealmApi(stage.realm).history(Range.HOUR))["points"]
    found = await RealmApi(stage.realm).summary()

    assert [point["succeeded"] for point in points] == [1, 1]
    assert [point["waiting"] for point in points] == [3, 2]
    assert 0.9 < found["per_minute"]["succeeded"] <= 1
    assert found["batches"][0]["eta_seconds"] is not None


async def test_summary_takes_as_many_reads_of_one_job_as_of_many(stage: Stage) -> None:
    async def reads() -> int:
        meter = Meter()
        realm = Realm(metered(stage.realm.stack, meter), stage.realm.name, now=stage.world.clock.now)
        await RealmApi(realm).summary()
        return meter.total()

    await stage.world.push(new_job("b-0"))
    one = await reads()
    for batch in range(3):
        jobs = (new_job(f"c{batch}-{n}", tags=(f"{batch}/{n}", "t")) for n in range(40))
        await stage.world.push(*jobs, batch=f"c{batch}")

    assert await reads() == one == 28
