"""Which jobs are found, counted and changed together, and what each tells of its attempts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobq.core import bulk, listing
from jobq.core.api import RealmApi, Selection
from jobq.core.listing import Filter, list_jobs
from jobq.core.operate import cancel
from jobq.core.workers import WorkerRow
from jobq.model.attempts import attempts_of
from jobq.model.fingerprint import error_of
from jobq.model.job import JobState, Limits, Outcome, Reason
from tests.behaviour.conftest import Stage
from tests.proof.actors import FAILED, OK, always
from tests.proof.world import assert_counts_equal_rows, count_all, new_job

BELIEVED = timedelta(minutes=5)


async def listed(stage: Stage, where: Filter) -> list[str]:
    found: list[str] = []
    after = ""
    while True:
        page = await list_jobs(stage.realm, where, after=after, limit=3)
        found += [job.id for job in page.jobs]
        after = page.next
        if not after:
            return found


async def counted(stage: Stage, where: Filter) -> int:
    return await count_all(stage.realm, where)


async def test_jobs_are_found_by_what_is_said_of_them(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a failed job, a cancelled one, one that a worker holds, one whose worker is gone, one that waits
    monkeypatch.setattr(listing, "SCAN", 2)
    monkeypatch.setattr(listing, "COUNTED", 2)
    commands = {f"b-{n}": f"python fit.py --seed {n}" for n in range(1, 6)}
    await stage.world.push(*(new_job(name, command=text, tags=("ü/t",)) for name, text in commands.items()))
    worker = stage.worker()
    worker.outcome = always(Outcome(Reason.OOM, 137, tail="Killed"))
    first = await stage.take(worker)
    failed = first.jobs[0].id
    await worker.run(first)
    held, lost = [(await stage.take(worker)).jobs[0] for _ in range(2)]
    await WorkerRow(stage.realm, "w", 1).beat([held], believe=BELIEVED)
    cancelled, waiting = sorted(set(commands) - {failed, held.id, lost.id})
    await cancel(stage.realm, cancelled)

    # When they are listed and counted
    error = error_of(await stage.world.job(failed))
    assert error is not None
    expected = {
        Filter(reason=Reason.OOM): [failed],
        Filter(error=error.key): [failed],
        Filter(text=f"SEED {waiting[-1]}"): [waiting],
        Filter(text="fit.py", tag="ü/t"): sorted(commands),
        Filter(state=JobState.RUNNING): [held.id],
        Filter(state=JobState.QUEUED, tag="ü/t"): sorted([lost.id, waiting]),
        Filter(state=JobState.CANCELLED, batch="b"): [cancelled],
        Filter(): sorted(commands),
    }

    # Then each filter finds what it says
    for where, found in expected.items():
        assert await listed(stage, where) == found
        assert await counted(stage, where) == len(found)


async def test_command_in_parts_changes_each_job_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PART", 4)
    await stage.world.push(*(new_job(f"b-{n:02}", tags=("t",)) for n in range(10)))
    api, chosen = RealmApi(stage.realm, 0.0), Selection(where=Filter(tag="t"))

    parts, after = [], ""
    while after is not None:
        parts.append(await api.cancel(replace(chosen, after=after)))
        after = parts[-1]["next"]
    again = await RealmApi(stage.realm).cancel(chosen)

    assert [part["changed"] for part in parts] == [4, 4, 2]
    assert (again["matched"], again["refused"]) == (0, [])
    jobs = await assert_counts_equal_rows(stage.realm)
    assert {job.state for job in jobs.values()} == {JobState.CANCELLED}


async def test_job_tells_of_each_attempt(stage: Stage) -> None:
    # Given a job that fails, then loses its worker, then succeeds
    await stage.world.push(new_job("b-1", limits=Limits(retries=1)))
    first, third = stage.worker("first"), stage.worker("third")
    first.outcome = always(FAILED)
    await stage.work(first)
    stage.pass_time(timedelta(seconds=2))
    await stage.lose(await stage.take(stage.worker("second")))
    third.outcome = always(OK)
    await stage.work(third)

    # When it has ended
    attempts = attempts_of(await stage.world.job("b-1"))

    # Then each attempt has its number, its worker and its end
    assert [(attempt.number, attempt.worker, attempt.reason) for attempt in attempts] == [
        (1, "first", Reason.EXIT),
        (2, "second", Reason.LOST),
        (3, "third", None),
    ]
    assert all(attempt.ended_at for attempt in attempts)
