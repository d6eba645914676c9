"""The process that starts the jobs: what it ends and when, and what happens when a job kills it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from jobq.core.realm import Realm
from jobq.errors import NoRoom
from jobq.worker import supervision as supervision_module
from jobq.worker.process import JobProcess
from jobq.worker.supervision import Supervision, boot_time
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import jobs, push, states, work

ESCAPE = "setsid sh -c 'echo $$ > {file}; exec sleep 600' & until [ -s {file} ]; do sleep 0.01; done"
"""Start something that leaves the job's process group, and holds its output."""


QUICK_KILL = """
import os, runpy, signal
from pathlib import Path

kills = Path("{kills}")
kills.touch()
names = runpy.run_path("{program}")
say = names["Supervisor"].say

def say_or_die(self, **answer):
    if "pid" in answer and len(kills.read_text()) < 6:
        kills.write_text(kills.read_text() + "x")
        os.kill(os.getpid(), signal.SIGKILL)
    say(self, **answer)

names["Supervisor"].say = say_or_die
names["main"]()
"""
"""A supervisor, killed by the first jobs that it starts before it can say that it has started them."""


class Started:
    """Jobs' processes for one test, and what they have written."""

    def __init__(self, supervision: Supervision, folder: Path) -> None:
        self.supervision = supervision
        self.folder = folder
        self.output: dict[int, bytes] = {}

    async def bash(self, command: str, *, env: dict[str, str] | None = None, until: float = float("inf")) -> JobProcess:
        written = bytearray()
        process = await JobProcess.start(
            self.supervision,
            ["bash", "-c", command],
            env={"PATH": os.environ["PATH"], **(env or {})},
            cwd=self.folder,
            feed=written.extend,
            until=until,
        )
        self.output[process.pid] = written
        return process


@pytest.fixture
def started(supervision: Supervision, tmp_path: Path) -> Started:
    return Started(supervision, tmp_path)


async def end(process: JobProcess) -> int | None:
    code = await process.wait()
    process.close()
    return code


async def pid_in(file: Path) -> int:
    await until(lambda: file.exists() and file.read_text().strip())
    return int(file.read_text())


async def test_process_that_left_its_group_is_ended_with_its_job(started: Started, tmp_path: Path) -> None:
    process = await started.bash(ESCAPE.format(file="stray"))

    assert await end(process) == 0

    stray = await pid_in(tmp_path / "stray")
    await until(lambda: not is_alive(stray))


async def test_what_a_stray_process_started_is_ended_too(started: Started, tmp_path: Path) -> None:
    inner = "setsid sh -c 'echo $$ > inner; exec sleep 600' & echo $$ > outer; exec sleep 600"
    outer = inner.replace("$", r"\$")
    process = await started.bash(f'setsid sh -c "{outer}" & until [ -s inner ]; do sleep 0.01; done')

    await end(process)

    for name in ("inner", "outer"):
        stray = await pid_in(tmp_path / name)
        await until(lambda stray=stray: not is_alive(stray))  # type: ignore[misc]


async def test_stray_process_of_a_job_that_still_runs_is_left_alone(started: Started, tmp_path: Path) -> None:
    # Given a job with a process that left its group and whose parent has ended
    longer = await started.bash(f"({ESCAPE.format(file='stray')}); until [ -e over ]; do sleep 0.01; done")
    stray = await pid_in(tmp_path / "stray")

    # When another job ends
    assert await end(await started.bash("true")) == 0

    # Then it goes on, until its own job ends
    assert is_alive(stray)
    (tmp_path / "over").touch()
    assert await end(longer) == 0
    await until(lambda: not is_alive(stray))


async def test_stray_process_that_hides_whose_it_is_is_ended_with_the_jobs_that_ran_then(
    started: Started, tmp_path: Path
) -> None:
    hidden = "env -i /usr/bin/setsid /bin/sh -c 'echo $$ > stray; exec /bin/sleep 600' & until [ -s stray ]; do :; done"

    await end(await started.bash(hidden))

    stray = await pid_in(tmp_path / "stray")
    await until(lambda: not is_alive(stray))


async def test_group_is_killed_at_its_deadline_unless_it_is_kept(started: Started) -> None:
    # Given two that have half a second
    left, kept = [await started.bash("sleep 600; true", until=boot_time(0.5)) for _ in range(2)]

    # When one is given more time
    kept.keep(boot_time(600))

    # Then just the other ends
    assert await end(left) == -signal.SIGKILL
    assert left.is_overdue
    assert is_alive(kept.pid)
    assert not kept.is_overdue
    kept.close()


async def test_group_that_was_kept_while_the_supervisor_stood_still_is_not_killed(started: Started) -> None:
    # Given a supervisor that stands still, as on a machine that sleeps
    process = await started.bash("sleep 600; true", until=boot_time(0.5))
    supervisor = started.supervision._process
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGSTOP)

    # When the lease was renewed in time, and it learns of that too late
    others = [asyncio.ensure_future(started.bash("true")) for _ in range(3)]
    await until(lambda: len(started.supervision._questions) == 3)
    process.keep(boot_time(600))
    await until(lambda: boot_time(-1) > process._group.until - 600)
    os.kill(supervisor.pid, signal.SIGCONT)

    # Then the job goes on
    assert [await end(other) for other in await asyncio.gather(*others)] == [0, 0, 0]
    assert is_alive(process.pid)
    process.close()


async def test_job_that_kills_its_parent_harms_no_other(started: Started, tmp_path: Path) -> None:
    # Given a job
    neighbour = await started.bash("until [ -e over ]; do sleep 0.01; done; exit 7")

    # When others kill what started them, again and again
    for _ in range(5):
        assert await end(await started.bash("kill -9 $PPID; exit 3")) == 3

    # Then it has its own end
    (tmp_path / "over").touch()
    assert await end(neighbour) == 7


async def test_job_that_is_quicker_than_the_answer_is_started_again(
    started: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may kill its parent before that can say that it was started; on a busy machine again and again."""
    # Given supervisors of which the first six are killed in the midst of that
    quick = tmp_path / "quick.py"
    quick.write_text(QUICK_KILL.format(program=supervision_module.supervisor.__file__, kills=tmp_path / "kills"))
    monkeypatch.setattr(supervision_module.supervisor, "__file__", str(quick))

    process = await started.bash("exit 3")

    assert await end(process) == 3
    assert (tmp_path / "kills").read_text() == "x" * 6


async def test_job_whose_supervisor_was_killed_is_still_ended_at_its_deadline(started: Started, tmp_path: Path) -> None:
    process = await started.bash(f"{ESCAPE.format(file='stray')}; sleep 600; true", until=boot_time(2))
    stray = await pid_in(tmp_path / "stray")

    assert await end(await started.bash("kill -9 $PPID")) == 0

    assert await end(process) == -signal.SIGKILL
    assert process.is_overdue
    await until(lambda: not is_alive(stray))


async def test_supervisor_killed_while_it_starts_jobs_leaves_none_that_nobody_knows(
    started: Started, tmp_path: Path
) -> None:
    # Given many that are being started
    command = "echo $$ >> pids; exec sleep 600"
    starting = [asyncio.ensure_future(started.bash(command)) for _ in range(20)]
    await until(lambda: (tmp_path / "pids").exists())

    # When the supervisor is killed
    process = started.supervision._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)

    # Then each is started, and what is not one of them is ended
    known = {process.pid for process in await asyncio.gather(*starting)}
    assert len(known) == 20
    await until(lambda: known == {pid for pid in map(int, (tmp_path / "pids").read_text().split()) if is_alive(pid)})


async def test_start_that_nobody_waits_for_any_more_leaves_no_process(started: Started, tmp_path: Path) -> None:
    starting = asyncio.ensure_future(started.bash("echo $$ > pid; exec sleep 600"))
    await asyncio.sleep(0)

    starting.cancel()
    await asyncio.wait([starting])

    await until(lambda: started.supervision._socket and not started.supervision._questions)
    assert await end(await started.bash("true")) == 0
    assert not (tmp_path / "pid").exists() or not is_alive(int((tmp_path / "pid").read_text() or 0))


async def test_processes_that_are_closed_at_once_are_gone(started: Started) -> None:
    """Their end comes together with the message that they are not wanted any more."""
    processes = [await started.bash("exec sleep 600") for _ in range(50)]

    for process in processes:
        process.close()

    await until(lambda: not any(Path(f"/proc/{process.pid}").exists() for process in processes))
    assert await end(await started.bash("exit 4")) == 4


async def test_command_and_environment_of_a_megabyte_arrive(started: Started) -> None:
    env = {f"V{number}": "x" * 100_000 for number in range(10)}
    process = await started.bash("echo ${#V0} ${#V9}; env | wc -c", env=env)

    assert await end(process) == 0
    assert started.output[process.pid].startswith(b"100000 100000\n100")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_job_is_told_to_stop_though_its_parent_is_deaf(started: Started, number: signal.Signals) -> None:
    process = await started.bash(f"kill -{number.name[3:]} $PPID; echo on; kill -{number.name[3:]} $$; echo no")

    assert await end(process) in (-number, 128 + number)
    assert started.output[process.pid] == b"on\n"


async def test_everything_ends_when_the_worker_has_gone(tmp_path: Path) -> None:
    supervision = Supervision()
    started = Started(supervision, tmp_path)
    process = await started.bash(f"{ESCAPE.format(file='stray')}; sleep 600; true")
    stray = await pid_in(tmp_path / "stray")

    await supervision.close()

    assert not is_alive(process.pid)
    assert not is_alive(stray)
    await end(process)


async def test_jobs_are_killed_for_memory_before_the_worker(started: Started) -> None:
    process = await started.bash("cat /proc/self/oom_score_adj")

    await end(process)

    assert int(started.output[process.pid]) > int(Path("/proc/self/oom_score_adj").read_text())


async def test_machine_that_starts_no_supervisor_has_no_room(
    supervision: Supervision, realm: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where processes are limited: jobs go back, nothing is counted, and the worker ends with that error at last."""
    monkeypatch.setattr(supervision_module.supervisor, "__file__", "/no/such/program.py")
    monkeypatch.setattr("jobq.worker.worker.PATIENCE_LATER", 2.0)
    ids = await push(realm, "true", "true")

    summary = await work(realm, slots=2)

    assert isinstance(summary.error, NoRoom)
    assert await states(realm, ids) == ["queued", "queued"]
    assert [(job.attempt, job.tries) for job in await jobs(realm, ids)] == [(0, {}), (0, {})]


async def test_one_supervisor_serves_all_jobs(started: Started) -> None:
    await end(await started.bash("true"))
    before = started.supervision._process

    processes = await asyncio.gather(*(started.bash("true") for _ in range(100)))

    assert [await end(process) for process in processes] == [0] * 100
    assert started.supervision._process is before
