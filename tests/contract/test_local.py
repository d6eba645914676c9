"""What the local stack promises on top: several processes at once, deaths in the middle, and clear words."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from jobq.adapters import sqlite_store
from jobq.adapters.local import STORE_NAME, LocalStack, MemoryStack
from jobq.core.ports import NO_DELAY, create, merge
from jobq.errors import BadInput, Conflict, NotAllowed, Unreachable

LEASE = timedelta(minutes=5)
PROCESSES = multiprocessing.get_context("spawn")
Start = Callable[..., BaseProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(work, *args)` runs `work` in a process of its own, which does not outlive the test."""
    started: list[BaseProcess] = []

    def start(work: Callable[..., None], *args: object) -> BaseProcess:
        process = PROCESSES.Process(target=work, args=args, daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def _join(*processes: BaseProcess) -> None:
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def _increment(folder: Path, times: int) -> None:
    asyncio.run(_increment_row(folder, times))


async def _increment_row(folder: Path, times: int) -> None:
    stack = LocalStack(folder, durable=False)
    done = 0
    while done < times:
        row = await stack.table.get("p", "counter")
        assert row is not None
        try:
            await stack.table.commit("p", [merge("counter", {"n": int(row.values["n"]) + 1}, row.etag)])
            done += 1
        except Conflict:
            continue
    await stack.close()


def _receive_all(folder: Path, found: Path) -> None:
    asyncio.run(_receive_and_note(folder, found))


async def _receive_and_note(folder: Path, found: Path) -> None:
    stack = LocalStack(folder, durable=False)
    queue = stack.queue("q")
    with found.open("ab") as file:
        while deliveries := await queue.receive(3, lease=LEASE):
            for delivery in deliveries:
                file.write(delivery.body + b"\n")
                await queue.complete(delivery)
    await stack.close()


def _write_pairs(folder: Path) -> None:
    asyncio.run(_write_pairs_forever(folder))


async def _write_pairs_forever(folder: Path) -> None:
    stack = LocalStack(folder)
    for n in range(10**9):
        await stack.table.commit("p", [create(f"a~{n:09}", {"n": n}), create(f"b~{n:09}", {"n": n})])
        await stack.queue("q").send([b"%d" % n, b"%d" % n])


async def test_processes_that_commit_to_one_row_lose_no_change(tmp_path: Path, start: Start) -> None:
    stack = LocalStack(tmp_path, durable=False)
    await stack.table.commit("p", [create("counter", {"n": 0})])

    _join(*[start(_increment, tmp_path, 100) for _ in range(2)])

    row = await stack.table.get("p", "counter")
    await stack.close()
    assert row is not None
    assert row.values == {"n": 200}


async def test_processes_that_receive_from_one_queue_share_no_message(tmp_path: Path, start: Start) -> None:
    stack = LocalStack(tmp_path, durable=False)
    sent = [b"%04d" % i for i in range(600)]
    await stack.queue("q").send(sent)

    _join(*[start(_receive_all, tmp_path, tmp_path / f"found{i}") for i in range(2)])

    found = [line for i in range(2) for line in (tmp_path / f"found{i}").read_bytes().split()]
    depth = (await stack.queue("q").look(0)).messages
    await stack.close()
    assert sorted(found) == sent
    assert depth == 0


async def test_processes_may_create_the_store_at_the_same_time(tmp_path: Path, start: Start) -> None:
    _join(*[start(_receive_all, tmp_path / "q", tmp_path / f"found{i}") for i in range(4)])

    stack = LocalStack(tmp_path / "q")
    assert (await stack.queue("q").look(0)).messages == 0
    await stack.close()


@pytest.mark.parametrize("rows_before", [20, 150])
async def test_process_killed_between_two_writes_leaves_a_consistent_store(
    tmp_path: Path, start: Start, rows_before: int
) -> None:
    stack = LocalStack(tmp_path)
    process = start(_write_pairs, tmp_path)
    deadline = time.monotonic() + 60
    while len(await stack.table.scan("p", "a~")) < rows_before and time.monotonic() < deadline:
        await asyncio.sleep(0.001)

    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(60)

    a, b = await stack.table.scan("p", "a~"), await stack.table.scan("p", "b~")
    depth = (await stack.queue("q").look(0)).messages
    await stack.table.commit("p", [create("after", {})])
    await stack.close()
    assert len(a) >= rows_before
    assert [(row.values, row.etag) for row in a] == [(row.values, row.etag) for row in b]
    assert depth in (2 * len(a), 2 * len(a) - 2)


async def test_store_is_there_after_it_was_closed_and_opened_again(tmp_path: Path) -> None:
    first = LocalStack(tmp_path / "deep" / "q")
    [etag] = await first.table.commit("p", [create("row", {"n": 1})])
    await first.queue("q").send([b"body"])
    await first.blobs.put("a/b", b"blob")
    await first.close()

    second = LocalStack(tmp_path / "deep" / "q")
    row = await second.table.get("p", "row")
    [delivery] = await second.queue("q").receive(1, lease=LEASE)
    blob = await second.blobs.get("a/b")
    await second.close()

    assert second.address == f"local:{tmp_path / 'deep' / 'q'}"
    assert row is not None
    assert row.etag == etag
    assert (delivery.body, blob) == (b"body", b"blob")
    assert (tmp_path / "deep" / "q").stat().st_mode & 0o777 == 0o700


async def test_file_that_is_no_database_is_unreachable_and_named(tmp_path: Path) -> None:
    (tmp_path / STORE_NAME).write_bytes(b"certainly not a database\n" * 100)

    with pytest.raises(Unreachable, match=STORE_NAME):
        LocalStack(tmp_path)


async def test_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    newer = sqlite3.connect(tmp_path / STORE_NAME)
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    with pytest.raises(Unreachable, match="version 99"):
        LocalStack(tmp_path)


async def test_store_made_before_messages_had_times_is_brought_up_to_date(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / STORE_NAME, isolation_level=None)
    for statement in sqlite_store.SCHEMA:
        old.execute(statement)
    old.execute("ALTER TABLE message DROP COLUMN due_at")
    old.execute("INSERT INTO message VALUES (0, 'q', 0, 0, 0, 0, x'6f6c64')")
    old.execute("PRAGMA user_version = 1")
    old.close()

    stack = LocalStack(tmp_path)
    await stack.queue("q").send([b"new"])
    backlog = await stack.queue("q").look(2)
    await stack.close()

    assert [waiting.body for waiting in backlog.first] == [b"old", b"new"]
    assert all(waiting.age < timedelta(minutes=1) for waiting in backlog.first)


async def test_folder_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BadInput, match="file"):
            LocalStack(folder)


async def test_store_that_another_process_keeps_locked_is_unreachable_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "BUSY_SECONDS", 0.05)
    stack = LocalStack(tmp_path)
    other = sqlite3.connect(tmp_path / STORE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unreachable, match=f"{STORE_NAME}.*locked"):
        await stack.table.commit("p", [create("row", {})])
    other.execute("ROLLBACK")
    other.close()

    await stack.table.commit("p", [create("row", {})])
    await stack.close()


async def test_full_disk_is_unreachable_and_the_store_usable_afterwards(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    await stack._store.run(lambda db: db.execute("PRAGMA max_page_count = 12").fetchall())

    with pytest.raises(Unreachable, match="full"):
        await stack.table.commit("p", [create("row", {"large": "x" * 100_000})])

    await stack.table.commit("p", [create("small", {})])
    rows = await stack.table.scan("p", "")
    await stack.close()
    assert [row.key for row in rows] == ["small"]


async def test_store_that_may_not_be_written_is_not_allowed(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    await stack._store.run(lambda db: db.execute("PRAGMA query_only = 1").fetchall())

    with pytest.raises(NotAllowed, match=STORE_NAME):
        await stack.table.commit("p", [create("row", {})])
    await stack.close()


async def test_lease_that_ran_out_can_be_extended_while_nobody_has_taken_it() -> None:
    now = [0.0]
    stack = MemoryStack(lambda: now[0])
    queue = stack.queue("q")
    await queue.send([b"body"])
    [delivery] = await queue.receive(1, lease=LEASE)

    now[0] += 2 * LEASE.total_seconds()
    delivery = await queue.extend(delivery, lease=LEASE)

    assert await queue.receive(1, lease=LEASE) == []
    await queue.complete(delivery)
    assert (await queue.look(0)).messages == 0
    await stack.close()


async def test_delay_and_lease_over_the_limit_are_bad_input() -> None:
    stack = MemoryStack(lambda: 0.0)
    queue = stack.queue("q")

    with pytest.raises(BadInput):
        await queue.send([b"body"], delay=queue.limits.max_delay + LEASE)
    with pytest.raises(BadInput):
        await queue.receive(1, lease=queue.limits.max_lease + LEASE)
    await queue.send([b"body"], delay=NO_DELAY)
    await stack.close()


async def test_calls_of_the_memory_stack_never_give_way() -> None:
    stack = MemoryStack(lambda: 0.0)
    queue = stack.queue("q")

    async def everything() -> None:
        await stack.table.commit("p", [create("row", {})])
        await stack.table.scan("p", "")
        await queue.send([b"body"])
        [delivery] = await queue.receive(1, lease=LEASE)
        delivery = await queue.extend(delivery, lease=LEASE)
        await queue.release(delivery, b"body")
        await stack.blobs.append("log", b"x")
        await stack.close()

    with pytest.raises(StopIteration):  # a coroutine that awaits nothing ends at its first step
        everything().send(None)
