"""What one request to Azure Storage costs: `python -m bench.requests [--by WAY] [name ...]`, against Azurite in memory.

For each kind: requests per second (client and Azurite share the machine) and processor time of the client per request.
The ways: `ours`, jobq's adapters; `sdk`, the SDKs' public methods as they come; `trimmed`, the same over jobq's
transport and without retries; `pipeline`, requests encoded here and sent through the trimmed SDK clients' pipelines.
`push` and `drain` are a job's whole traffic through the adapters, and there is one way for these.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bench.ways import BODY, LEASE, WAYS, Client, Ours, client
from jobq.core.ports import Delivery, create, delete, merge
from tests.azurite import running_azurite

Step = Callable[[], Awaitable[object]]


async def measure(
    name: str, at_once: int, count: int, step: Step, *, per_step: int = 1, unit: str = "requests"
) -> None:
    left = iter(range(count))

    async def worker() -> None:
        for _ in left:
            await step()

    start, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[worker() for _ in range(at_once)])
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    rate, cost = count * per_step / wall, 1000 * cpu / (count * per_step)
    print(f"{name:34} {at_once:3} at once {rate:8.0f} {unit}/s  {cost:6.3f} ms CPU each", flush=True)


async def puts(client: Client) -> None:
    await client.put()
    for at_once in (1, 8, 32):
        await measure("queue put", at_once, 1500, client.put)


async def gets(client: Client) -> None:
    for _ in range(300):
        await client.put()
    await measure("queue get + delete", 1, 150, client.get_and_delete, per_step=2)
    await measure("queue get + delete", 8, 150, client.get_and_delete, per_step=2)


async def merges(client: Client) -> None:
    for name, change in (("merge, plain", client.merge), ("merge of two rows, transaction", client.merge_in_batch)):
        [etag, _] = await client.create([name, f"{name}-"])
        etags = [etag]

        async def step(change: Any = change, name: str = name, etags: list[str] = etags) -> None:
            etags[0] = await change(name, etags[0])

        await measure(name, 1, 600, step)


async def creates(client: Client) -> None:
    numbers = itertools.count()
    await client.create(["first"])
    for at_once in (1, 8):
        step = lambda: client.create([f"job~{next(numbers):08}" for _ in range(100)])  # noqa: E731
        await measure("create, 100 rows a transaction", at_once, 60, step, per_step=100, unit="rows")


async def reads(client: Client) -> None:
    await client.create(["row"])
    for at_once in (1, 8):
        await measure("point read", at_once, 1000, lambda: client.read("row"))


async def push(client: Client) -> None:
    """5,000 jobs: for each one message and two rows, those in transactions of at most 100."""
    assert isinstance(client, Ours)
    await client.create(["first"])
    await client.put()
    jobs = 5000

    async def rows() -> None:
        for start in range(0, jobs, 50):
            await client.create([f"{kind}~{n:06}" for n in range(start, start + 50) for kind in ("job", "out")])

    async def step() -> None:
        await asyncio.gather(rows(), client.queue.send([BODY] * jobs))

    await measure("push", 1, 1, step, per_step=jobs, unit="jobs")


async def drain(client: Client) -> None:
    """800 jobs by 8 workers: receive 8; for each a merge, a transaction of four changes, and a deletion."""
    assert isinstance(client, Ours)
    table, queue, jobs = client.table, client.queue, 800
    etags: dict[str, str] = {}
    for start in range(0, jobs, 25):
        keys = [f"{kind}~{n:06}" for n in range(start, start + 25) for kind in ("job", "lane", "state")]
        etags |= dict(zip(keys, await client.create(keys), strict=True))
    await queue.send([b"%06d" % n for n in range(jobs)])

    async def finish(delivery: Delivery) -> None:
        number = delivery.body.decode()
        job = f"job~{number}"
        [etag] = await table.commit("p~1", [merge(job, {"state": "running", "attempt": 1}, etags[job])])
        end = merge(job, {"state": "succeeded", "ended_at": 1790000000.5}, etag)
        moved = [merge(f"lane~{number}", {"n": 1}), delete(f"state~{number}"), create(f"done~{number}", {"n": 1})]
        await table.commit("p~1", [end, *moved])
        await queue.complete(delivery)

    async def worker() -> None:
        while deliveries := await queue.receive(8, lease=LEASE):
            for delivery in deliveries:
                await finish(delivery)

    async def step() -> None:
        await asyncio.gather(*[worker() for _ in range(8)])

    await measure("drain", 8, 1, step, per_step=jobs, unit="jobs")


async def scans(client: Client) -> None:
    for start in range(0, 1000, 100):
        await client.create([f"job~{n:06}" for n in range(start, start + 100)])
    await measure("scan of 1000 rows", 1, 5, client.scan, per_step=1000, unit="rows")


KINDS = {"puts": puts, "gets": gets, "merges": merges, "creates": creates, "reads": reads, "scans": scans}
WHOLE = {"push": push, "drain": drain}


async def main(names: Sequence[str], way: str) -> None:
    kinds = KINDS | WHOLE if way == "ours" else KINDS
    for name in names or kinds:
        with running_azurite(in_memory=True) as azurite:  # a fresh one: its queues slow down as they fill
            async with client(azurite.connection_string, way) as one:
                await kinds[name](one)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by", choices=WAYS, default="ours")
    parser.add_argument("names", nargs="*", choices=[*KINDS, *WHOLE, []])
    arguments = parser.parse_args()
    asyncio.run(main(arguments.names, arguments.by))
