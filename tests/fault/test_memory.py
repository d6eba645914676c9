"""A job that takes more memory than there is: the kernel kills it, and it is told apart from one that was killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from jobq.core.realm import Realm
from tests.fault.cgroups import limited
from tests.fault.processes import Processes, exit_code
from tests.proof.world import assert_counts_equal_rows
from tests.until import until
from tests.worker.running import jobs, push

pytestmark = pytest.mark.slow

HUNGRY = f'{sys.executable} -c "x = bytearray(1 << 30); x[::4096] = bytes(len(x[::4096])); print(len(x))"'
LIMIT = 200 * 1024 * 1024


@pytest.fixture
def small_memory() -> Iterator[list[str]]:
    """A command that runs another one where memory is short."""
    with limited("memory", "memory.limit_in_bytes", "memory.max", LIMIT) as (before, _):
        yield before


@pytest.mark.parametrize("place", ["azurite"], indirect=True)
async def test_job_killed_for_memory_says_so_and_harms_no_other(
    realm: Realm, processes: Processes, small_memory: list[str]
) -> None:
    # Given a hungry job, jobs that are killed otherwise or only look like it, and harmless ones, side by side
    commands = {
        "hungry": HUNGRY,
        "child": f"{HUNGRY}; exit $?",
        "killed": "kill -9 $$",
        "looks": "exit 137",
        "well": "sleep 2; echo well",
    }
    ids = await push(realm, commands["well"], commands["hungry"], commands["child"], commands["well"])
    worker = processes.worker("-n", "2", before=small_memory)
    await until(lambda: _ended(realm, ids))
    ids += await push(realm, commands["killed"], commands["looks"], batch="c")
    await until(lambda: _ended(realm, ids))

    # Then each is known for what it was
    done = await jobs(realm, ids)
    assert [(job.reason, job.exit_code) for job in done] == [
        (None, 0),
        ("oom", 137),
        ("oom", 137),
        (None, 0),
        ("signal", 137),
        ("exit", 137),
    ]
    assert "killed by the kernel for memory" in done[1].message
    worker.terminate()
    assert await exit_code(worker) == 0
    await assert_counts_equal_rows(realm)


async def _ended(realm: Realm, ids: list[str]) -> bool:
    return all(job.state.is_final for job in await jobs(realm, ids))
