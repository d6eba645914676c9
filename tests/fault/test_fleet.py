"""A fleet of real workers: seen, and ended in part, from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.core.workers import live_workers
from tests.fault.processes import Processes, exit_code
from tests.until import until
from tests.worker.running import push, states

pytestmark = pytest.mark.slow

SOON = ("--visibility-timeout", "4s")
"""So that workers beat often."""
IMAGE = "acme.azurecr.io/team/fit@sha256:0123456789abcdef"


@pytest.mark.parametrize("place", ["azurite"], indirect=True)
async def test_part_of_a_fleet_is_drained_and_the_rest_goes_on(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given two workers with labels, each with a job
    over = tmp_path / "over"
    ids = await push(realm, *[f"until [ -e {over} ]; do sleep 0.1; done"] * 2)
    named = ["env", f"JOBQ_IMAGE={IMAGE}", "JOBQ_ENVIRONMENT_NAME=spot"]
    big = processes.worker(*SOON, "--label", "gpu=a100", "--label", "zone=1", before=named)
    await until(lambda: _running(realm, ids, 1))
    small = processes.worker(*SOON, "--label", "zone=1")
    await until(lambda: _running(realm, ids, 2))

    # When they are looked at, and those with a label are drained
    listed = processes.jobq("workers", "--output", "json")
    assert await exit_code(listed) == 0
    workers = json.loads(processes.said(2))["workers"]
    assert sorted(json.dumps(worker["labels"]) for worker in workers) == [
        '{"environment": "spot", "gpu": "a100", "zone": "1"}',
        '{"zone": "1"}',
    ]
    assert sorted(str(worker["image"]) for worker in workers) == ["None", IMAGE]
    assert all(0 < worker["memory"] < 1 and worker["cpu"] >= 0 for worker in workers)
    drained = processes.jobq("drain", "--label", "gpu=a100")
    assert await exit_code(drained) == 0
    assert "asked 1 worker to end" in processes.said(3)

    # Then they finish what they run, say so meanwhile, and end; the others take what comes
    await until(lambda: _drains(realm))
    more = await push(realm, "true", "true", batch="more")
    over.touch()
    assert await exit_code(big) == 0
    await until(lambda: _all(realm, [*ids, *more], "succeeded"))
    assert small.poll() is None
    small.terminate()
    assert await exit_code(small) == 0


@pytest.mark.parametrize("place", ["local", "servicebus"], indirect=True)
async def test_paused_realm_finishes_what_runs_and_starts_nothing_until_it_is_resumed(
    realm: Realm, processes: Processes, tmp_path: Path
) -> None:
    # Given a worker with a job, that has noticed that the realm is paused
    over = tmp_path / "over"
    first = await push(realm, f"until [ -e {over} ]; do sleep 0.1; done")
    worker = processes.worker(*SOON, "-n", "2")
    await until(lambda: _running(realm, first, 1))
    assert await exit_code(processes.jobq("pause")) == 0
    await until(lambda: "paused: lane 0" in processes.said(0))

    # When there is more to do, also for a worker that ends when nothing is queued
    more = await push(realm, "true", "true", batch="more")
    other = processes.worker(*SOON, "--exit-when-empty")
    over.touch()
    await until(lambda: _all(realm, first, "succeeded"))

    # Then nothing of it starts, and nobody takes that for an empty queue
    await until(lambda: "paused: lane 0" in processes.said(2))
    assert await states(realm, more) == ["queued", "queued"]
    assert other.poll() is None

    # Until it is resumed
    assert await exit_code(processes.jobq("resume")) == 0
    await until(lambda: _all(realm, more, "succeeded"))
    assert await exit_code(other) == 0
    worker.terminate()
    assert await exit_code(worker) == 0


@pytest.mark.parametrize("place", ["local"], indirect=True)
async def test_nobody_is_drained_by_mistake(realm: Realm, processes: Processes) -> None:
    await push(realm, "true")
    answers = [
        await exit_code(processes.jobq("drain", *arguments))
        for arguments in ([], ["w", "--all"], ["no-such"], ["--label", "gpu"], ["--label", "gpu=h100"])
    ]

    assert answers == [2, 2, 3, 2, 0]
    assert "error: say which workers" in processes.said(0)
    assert "error: there is no worker no-such" in processes.said(2)
    assert "'gpu' is no label: write NAME=VALUE" in processes.said(3)
    assert "no worker matches" in processes.said(4)


async def _running(realm: Realm, ids: list[str], number: int) -> bool:
    return (await states(realm, ids)).count("running") == number


async def _all(realm: Realm, ids: list[str], state: str) -> bool:
    return set(await states(realm, ids)) == {state}


async def _drains(realm: Realm) -> bool:
    return [worker.labels for worker in await live_workers(realm) if worker.is_draining] == [
        {"environment": "spot", "gpu": "a100", "zone": "1"}
    ]
