"""Jobs that are calls of a Python function."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobq.core.api import RealmApi
from jobq.core.realm import Realm
from jobq.errors import BadInput
from jobq.worker.programs import CallableProgram
from jobq.worker.run import run_worker
from tests.stacks import Place
from tests.worker import functions
from tests.worker.running import call, jobs, push, work

FUNCTIONS = "tests.worker.functions"


async def test_result_is_stored_with_the_job(realm: Realm) -> None:
    ids = await push(realm, call(a=2, b=3), call(a=2))

    await work(realm, proc=f"{FUNCTIONS}:add")

    done = await jobs(realm, ids)
    assert [(job.state.value, job.result) for job in done] == [("succeeded", 5), ("succeeded", 3)]
    assert done[0].tail == "adding 2 and 3"


async def test_async_function_is_awaited(realm: Realm) -> None:
    (job_id,) = await push(realm, call(a=2, b=3))

    await work(realm, proc=f"{FUNCTIONS}:add_later")

    assert (await jobs(realm, [job_id]))[0].result == 5


async def test_text_of_an_exception_is_the_message(realm: Realm) -> None:
    (job_id,) = await push(realm, call(text="no such file"))

    await work(realm, proc=f"{FUNCTIONS}:fail")

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.reason, job.exit_code) == ("failed", "exit", 1)
    assert job.message == "ValueError: no such file"
    assert "Traceback" in job.tail


async def test_failed_call_is_tried_again(realm: Realm) -> None:
    (job_id,) = await push(realm, call(retries=1, text="x"))

    await work(realm, proc=f"{FUNCTIONS}:fail")

    assert (await jobs(realm, [job_id]))[0].tries == {"exit": 2}


@pytest.mark.parametrize("arguments", [{"c": 1}, {"a": 1, "b": 2, "c": 3}, {}])
async def test_arguments_that_do_not_fit_are_undecodable_and_not_tried_again(
    realm: Realm, arguments: dict[str, int]
) -> None:
    (job_id,) = await push(realm, call(3, **arguments))

    await work(realm, proc=f"{FUNCTIONS}:add")

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.reason, job.attempt) == ("failed", "undecodable", 1)
    assert "argument" in job.message


async def test_function_that_asks_for_it_is_told_who_it_is(realm: Realm) -> None:
    (job_id,) = await push(realm, call())

    await work(realm, proc=f"{FUNCTIONS}:who")

    (job,) = await jobs(realm, [job_id])
    assert job.result == [job_id, job.worker]


async def test_large_result_is_kept(realm: Realm) -> None:
    (job_id,) = await push(realm, call(size=300_000))

    await work(realm, proc=f"{FUNCTIONS}:large")

    document = await RealmApi(realm).job(job_id)
    assert (document["state"], document["result"]) == ("succeeded", "x" * 300_000)


async def test_result_that_is_no_json_is_a_failure(realm: Realm) -> None:
    (job_id,) = await push(realm, call())

    await work(realm, proc=f"{FUNCTIONS}:unserializable")

    (job,) = await jobs(realm, [job_id])
    assert job.state.value == "failed"
    assert "not JSON serializable" in job.message


async def test_function_that_spoils_its_directory_only_fails_itself(realm: Realm) -> None:
    (job_id,) = await push(realm, call())

    await work(realm, proc=f"{FUNCTIONS}:spoil")

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.reason, job.exit_code) == ("failed", "exit", 7)


async def test_shell_job_fails_as_undecodable_on_a_worker_for_callables(realm: Realm) -> None:
    ids = await push(realm, "touch never", call(a=1))

    await work(realm, proc=f"{FUNCTIONS}:add")

    first, second = await jobs(realm, ids)
    assert (first.state.value, first.reason) == ("failed", "undecodable")
    assert "shell command" in first.message
    assert second.result == 2


async def test_callable_job_fails_as_undecodable_on_a_shell_worker(realm: Realm) -> None:
    ids = await push(realm, call(a=1), "true")

    await work(realm)

    first, second = await jobs(realm, ids)
    assert (first.state.value, first.reason) == ("failed", "undecodable")
    assert "--proc" in first.message
    assert second.state.value == "succeeded"


@pytest.mark.parametrize(
    "reference", [f"{FUNCTIONS}:missing", f"{FUNCTIONS}:not_a_function", "no.such.module:f", "nonsense", ":", "json:"]
)
async def test_callable_that_is_not_there_is_refused_at_the_start(place: Place, realm: Realm, reference: str) -> None:
    (job_id,) = await push(realm, call(a=1))

    with pytest.raises(BadInput, match="module:function"):
        await asyncio.to_thread(run_worker, str(place.address), handler=reference)

    assert (await jobs(realm, [job_id]))[0].state.value == "queued"


async def test_module_beside_the_worker_is_found(
    place: Place, realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a module in the folder where the worker is started, as `jobq worker --proc tasks:double` has it
    (tmp_path / "jobq_test_tasks.py").write_text("def double(n):\n    return 2 * n\n")
    monkeypatch.chdir(tmp_path)
    (job_id,) = await push(realm, call(n=4))

    await asyncio.to_thread(run_worker, str(place.address), handler="jobq_test_tasks:double")

    assert (await jobs(realm, [job_id]))[0].result == 8


async def test_run_worker_calls_a_function_and_says_what_came_of_it(place: Place, realm: Realm) -> None:
    ids = await push(realm, call(a=1), call(c=1))

    ends = await asyncio.to_thread(run_worker, str(place.address), handler=functions.add, slots=2)

    assert ends == {"succeeded": 1, "failed": 1, "cancelled": 0}
    assert (await jobs(realm, ids))[0].result == 2


def test_lambda_and_closure_are_refused() -> None:
    def closure() -> None:
        pass

    for handler in (lambda: None, closure):
        with pytest.raises(BadInput, match="top level"):
            CallableProgram.of(handler)
