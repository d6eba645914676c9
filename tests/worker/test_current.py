"""What Python code learns of the job that it belongs to."""

from __future__ import annotations

import sys

import pytest

from jobq import current_job
from jobq.core.realm import Realm
from jobq.errors import NotFound
from tests.worker.running import jobs, push, work

SCRIPT = "from jobq import current_job; job = current_job(); print(job.id, job.attempt, job.directory.samefile('.'))"


async def test_script_of_a_shell_job_asks_as_a_callable_does(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    (job_id,) = await push(realm, f'{sys.executable} -c "{SCRIPT}"')

    await work(realm)

    assert (await jobs(realm, [job_id]))[0].tail == f"{job_id} 1 True"


def test_code_outside_of_a_job_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOBQ_JOB_ID", raising=False)

    with pytest.raises(NotFound, match="no job is running here"):
        current_job()
