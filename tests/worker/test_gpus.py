"""How busy the GPUs are: an `nvidia-smi` that answers, and ones that are broken or hang."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobq.core.api import RealmApi
from jobq.core.realm import Realm
from jobq.core.workers import live_workers
from jobq.model.counts import Gpu
from jobq.worker.gpus import GpuWatch, parse_gpus
from tests.fault.processes import lines_of
from tests.until import until
from tests.worker.attempts import is_alive
from tests.worker.running import push, working

TWO = "NVIDIA A100 80GB PCIe, 35, 20480, 81920\nNVIDIA A100 80GB PCIe, [N/A], 0, 81920\n"
SEEN = (Gpu("NVIDIA A100 80GB PCIe", 0.35, 0.25), Gpu("NVIDIA A100 80GB PCIe", None, 0.0))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs are found first."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def install(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)


@asynccontextmanager
async def watching(watch: GpuWatch) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        yield
        running.cancel()


def test_what_is_not_known_of_a_gpu_is_told_apart_from_nothing() -> None:
    assert parse_gpus(TWO) == SEEN
    assert parse_gpus("a, b, 0, 0, [Not Supported]\n") == (Gpu("a, b", 0.0, None),)
    assert parse_gpus("") == ()


async def test_gpus_are_seen_in_the_row_of_an_idle_worker_soon(realm: Realm, programs: Path, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    install(programs, f'echo "$*" | tr " " "_" >> {asked}; printf "{TWO}"')

    async with working(realm):
        await until(lambda: _sees_gpus(realm))
        (worker,) = (await RealmApi(realm).workers())["workers"]

    assert worker["gpus"] == [{"name": gpu.name, "use": gpu.use, "memory": gpu.memory} for gpu in SEEN]
    assert lines_of(asked) == [
        "--query-gpu=name,utilization.gpu,memory.used,memory.total_--format=csv,noheader,nounits"
    ]


async def test_worker_on_a_machine_without_gpus_says_so(realm: Realm) -> None:
    async with working(realm):
        await until(lambda: _is_seen(realm))
        assert (await live_workers(realm))[0].gpus == ()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (f'printf "{TWO}"; exit 9', "it ended with 9"),
        ("echo NVIDIA-SMI has failed, and lost", "its answer is none"),
        ("yes x,x,x,x", "its answer has no end"),
        ("exec /nowhere/nvidia-smi 2> /dev/null", "it ended with 127"),
        ("sleep 600", "no answer in time"),
    ],
)
async def test_one_that_is_broken_or_hangs_is_given_up_and_said_once(
    programs: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path, script: str, why: str
) -> None:
    # Given one that has answered before
    install(programs, f"echo $$ > {tmp_path}/pid; {script}")
    watch = GpuWatch(patience_seconds=1.0, gpus=SEEN)

    # When it is asked again
    async with watching(watch):
        await until(lambda: caplog.messages)

    # Then nothing is known any more, and nothing is left of it
    assert caplog.messages == [f"nvidia-smi does not say how busy the GPUs are: {why}"]
    assert watch.gpus == ()
    assert not is_alive(int((tmp_path / "pid").read_text()))


async def test_one_that_hangs_delays_neither_a_heartbeat_nor_the_end_of_the_worker(
    realm: Realm, programs: Path, tmp_path: Path
) -> None:
    # Given one that hangs, with a child, and lets nobody end it in peace
    install(programs, f"trap '' TERM INT; echo $$ > {tmp_path}/pids; sleep 600 & echo $! >> {tmp_path}/pids; wait")

    # When a worker has jobs
    async with working(realm):
        await until(lambda: len(lines_of(tmp_path / "pids")) == 2)
        await push(realm, f"until [ -e {tmp_path}/over ]; do sleep 0.05; done")
        await until(lambda: _runs_one(realm))
        (tmp_path / "over").touch()
        ended = time.monotonic()

    # Then its row has told of them, and it ends at once and leaves nothing behind
    assert time.monotonic() - ended < 5
    for pid in map(int, lines_of(tmp_path / "pids")):
        await until(lambda pid=pid: not is_alive(pid))  # type: ignore[misc]  # bound now


async def _sees_gpus(realm: Realm) -> bool:
    return any(worker.gpus for worker in await live_workers(realm))


async def _is_seen(realm: Realm) -> bool:
    return bool(await live_workers(realm))


async def _runs_one(realm: Realm) -> bool:
    return [len(worker.running) for worker in await live_workers(realm)] == [1]
