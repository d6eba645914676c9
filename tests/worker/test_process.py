"""What a job's process is given: a directory and an environment of its own, and nothing of the job before."""

from __future__ import annotations

import socket
from datetime import timedelta
from pathlib import Path

import pytest

from jobq.core.api import RealmApi
from jobq.core.logs import read_log, times_key
from jobq.core.realm import Realm
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision
from tests.until import until
from tests.worker.running import jobs, push, shell, states, work, working

PRINT = "env | sort"


async def test_job_finds_who_it_is_in_its_environment(realm: Realm) -> None:
    (job_id,) = await push(realm, PRINT)

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    lines = (await read_log(realm, job)).decode().splitlines()
    assert {
        f"JOBQ_JOB_ID={job_id}",
        f"JOBQ_TASK_ID={job_id}",
        "JOBQ_ATTEMPT=1",
        f"JOBQ_QUEUE_NAME={realm.name}",
        f"JOBQ_WORKER_ID={job.worker}",
    } <= set(lines)


async def test_second_attempt_knows_that_it_is_the_second(realm: Realm) -> None:
    (job_id,) = await push(realm, shell("echo $JOBQ_ATTEMPT; test $JOBQ_ATTEMPT = 2", retries=1))

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.tail, job.attempt) == ("succeeded", "2", 2)
    assert await read_log(realm, job, attempt=1) == b"1\n"


async def test_environment_of_one_job_does_not_reach_the_next(realm: Realm) -> None:
    ids = await push(realm, shell("echo $SECRET", env={"SECRET": "hush"}), "echo ${SECRET-unset}")

    await work(realm)

    assert [job.tail for job in await jobs(realm, ids)] == ["hush", "unset"]


async def test_directory_of_one_job_is_empty_and_gone_after_it(realm: Realm) -> None:
    spoil = "ls -A; pwd; mkdir d; touch d/f; chmod 500 d"
    ids = await push(realm, spoil, spoil)

    await work(realm)

    tails = [job.tail for job in await jobs(realm, ids)]
    assert len(set(tails)) == 2
    assert not [tail for tail in tails if "\n" in tail or Path(tail).exists()]


async def test_keys_of_the_worker_are_not_inherited(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JOBQ_CONNECTION_STRING", "JOBQ_KEY", "JOBQ_MANAGE_KEY"):
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("JOBQ_WORKER_SLOTS", "inherited")
    (job_id,) = await push(realm, PRINT)

    await work(realm)

    text = await read_log(realm, (await jobs(realm, [job_id]))[0])
    assert b"hush-hush" not in text
    assert b"JOBQ_WORKER_SLOTS=inherited" in text


async def test_standard_input_of_a_job_is_empty(realm: Realm) -> None:
    (job_id,) = await push(realm, "cat; echo done")

    await work(realm)

    assert (await jobs(realm, [job_id]))[0].tail == "done"


async def test_job_that_cannot_be_started_fails_with_the_reason(realm: Realm) -> None:
    # Given a command that is longer than the system takes for one argument
    ids = await push(realm, "true " + "x" * 200_000, "true")

    await work(realm)

    first, second = await jobs(realm, ids)
    assert (first.state.value, second.state.value) == ("failed", "succeeded")
    assert "could not be started" in first.message


async def test_job_that_closes_its_output_is_waited_for(realm: Realm) -> None:
    (job_id,) = await push(realm, "exec >&- 2>&-; sleep 0.3; exit 4")

    await work(realm)

    (job,) = await jobs(realm, [job_id])
    assert (job.state.value, job.exit_code) == ("failed", 4)


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_output_is_found_by_when_it_came(realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a job that has written something, and goes on
    monkeypatch.setattr("jobq.worker.attempt.FLUSH_SECONDS", 0.05)
    monkeypatch.setattr("jobq.worker.output.TIMES_EVERY", timedelta(0))
    (job_id,) = await push(realm, f"echo early; until [ -e {tmp_path}/over ]; do sleep 0.05; done; echo late")
    api = RealmApi(realm)
    started = realm.now()
    async with working(realm):
        await until(lambda: _has_times(realm, job_id))
        seen = realm.now()

        # When it writes the rest, and ends
        (tmp_path / "over").touch()
        await until(lambda: _has_ended(realm, job_id))
    ended = realm.now() + timedelta(seconds=1)

    # Then each part is found
    found = []
    for since in (started, seen, ended):
        start = (await api.log_start(job_id, since=since))["start"]
        found.append(await api.log(job_id, start=start))
    assert found == [b"early\nlate\n", b"late\n", b""]


async def _has_times(realm: Realm, job_id: str) -> bool:
    return await realm.stack.blobs.get(times_key(realm.name, job_id, 1)) is not None


async def _has_ended(realm: Realm, job_id: str) -> bool:
    return (await realm.read(job_id)).state.is_final


async def test_twenty_megabytes_do_not_stop_a_job_or_its_neighbour(realm: Realm) -> None:
    ids = await push(realm, "head -c 20000000 /dev/zero | tr '\\0' x; echo; echo end", "echo neighbour")

    await work(realm, slots=2)

    first, second = await jobs(realm, ids)
    assert await states(realm, ids) == ["succeeded", "succeeded"]
    assert first.tail.endswith("x\nend")
    assert second.tail == "neighbour"
    assert 16_000_000 < len(await read_log(realm, first)) < 17_500_000


@pytest.mark.parametrize("place", ["local", "azurite"], indirect=True)
async def test_job_may_have_a_terminal_and_its_output_arrives_unchanged(realm: Realm) -> None:
    ids = await push(
        realm,
        "test -t 1 && test -t 2 && printf 'one\\ntwo\\ttabs\\r\\n'",
        "seq 200000",
        "setsid sleep 60 & echo done",
    )

    await work(realm, emulate_tty=True, slots=2)

    first, second, third = await jobs(realm, ids)
    assert await read_log(realm, first) == b"one\ntwo\ttabs\r\n"
    assert await read_log(realm, second) == b"".join(b"%d\n" % number for number in range(1, 200_001))
    assert (third.state.value, third.tail) == ("succeeded", "done")


async def test_job_has_no_terminal_unless_that_is_asked_for(realm: Realm) -> None:
    (job_id,) = await push(realm, "test -t 1")

    await work(realm)

    assert await states(realm, [job_id]) == ["failed"]


async def test_nothing_is_left_open_after_many_jobs(realm: Realm) -> None:
    ids = await push(realm, *["true"] * 100)
    await work(realm, slots=4)
    before = _open_files()

    await push(realm, *["echo x"] * 100, batch="c")
    await work(realm, slots=4)

    assert await states(realm, ids) == ["succeeded"] * 100
    assert _open_files() <= before + 2


async def test_process_is_gone_once_it_is_closed(tmp_path: Path, supervision: Supervision) -> None:
    env = {"PATH": "/usr/bin:/bin"}
    process = await JobProcess.start(supervision, ["sleep", "60"], env=env, cwd=tmp_path, feed=lambda data: None)

    process.close()

    await until(lambda: not Path(f"/proc/{process.pid}").exists())


async def test_process_reads_from_what_it_is_given(supervision: Supervision, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    written = bytearray()
    with ours, theirs:
        process = await JobProcess.start(
            supervision,
            ["head", "-n1"],
            env={"PATH": "/usr/bin:/bin"},
            cwd=tmp_path,
            feed=written.extend,
            source=theirs.fileno(),
        )
        ours.sendall(b"hello\n")

        assert await process.wait() == 0
        process.close()

    assert written == b"hello\n"


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
