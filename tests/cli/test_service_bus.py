"""The whole command line on `sb://namespace/realm`: as processes, on the loopback broker and Azurite."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.broker import Broker, QueueSpec
from tests.service_bus import ANY_QUEUE
from tests.stacks import Place, make_place
from tests.until import until

pytestmark = pytest.mark.slow

_JOBQ = [sys.executable, "-c", "from jobq.cli.main import main; main()"]
_CLIENT = Path(__file__).resolve().parents[2] / "client"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


Jobq = Callable[..., Awaitable[Answer]]


@pytest.fixture
def queues() -> QueueSpec:
    """One that gives messages up soon."""
    return replace(ANY_QUEUE, lock=timedelta(seconds=1), max_delivery_count=1)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return make_place(request, "servicebus", tmp_path)


@pytest.fixture
def environment(place: Place) -> dict[str, str]:
    return {**place.environment, "PYTHONPATH": str(_CLIENT), "JOBQ_TABLES": "devstoreaccount1"}


@pytest.fixture
def jobq(environment: dict[str, str]) -> Jobq:
    """`await jobq("push", …)`; the broker goes on meanwhile, in this loop."""

    async def run(*arguments: str, given: str = "", env: dict[str, str] | None = None) -> Answer:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *_JOBQ, *arguments, env=env or environment, stdin=pipe, stdout=pipe, stderr=pipe
        )
        out, err = await process.communicate(given.encode())
        return Answer(process.returncode or 0, out.decode(), err.decode())

    return run


async def test_jobs_are_pushed_run_counted_cancelled_and_retried(jobq: Jobq) -> None:
    # Given jobs in two lanes
    pushed = await jobq("push", "--tag", "t", "--batch", "b", given="echo one\nexit 3\n")
    assert (pushed.code, pushed.out) == (0, "")
    assert (await jobq("push", "--lane", "1", "--batch", "c", "-c", "echo later", "-c", "echo never")).code == 0
    assert (await jobq("cancel", "c-000002")).code == 0

    # When a worker has run them, the lower lane first
    worked = await jobq("worker")
    assert worked.code == 0
    assert worked.out.splitlines() == ["[b-000001] one", "[c-000001] later"]

    # Then all is as it would be anywhere
    total = json.loads((await jobq("status", "-o", "json")).out)
    assert [total[state] for state in ("total", "queued", "succeeded", "failed", "cancelled")] == [4, 0, 2, 1, 1]
    assert (await jobq("jobs", "--state", "failed", "-o", "ids")).out == "b-000002\n"
    assert (await jobq("logs", "b-000001")).out == "one\n"
    assert (await jobq("wait", "--tag", "t")).code == 5

    # When what failed and what was cancelled is retried
    assert (await jobq("retry", "--all")).err == "queued 2 jobs again\n"
    pulled = [await jobq("pull"), await jobq("pull"), await jobq("pull")]

    # Then it runs, and an empty queue is no error
    assert [answer.code for answer in pulled] == [5, 0, 0]
    assert "[c-000002] never" in pulled[1].out


async def test_ticket_given_up_by_the_broker_is_listed_with_the_reason_and_retried(
    jobq: Jobq, broker: Broker, place: Place
) -> None:
    # Given a job whose ticket was received by somebody who died
    assert (await jobq("push", "--batch", "b", "-c", "echo back")).code == 0
    async with place.open() as realm:
        assert await realm.queue("0").receive(1, lease=timedelta(minutes=5))
    await until(lambda: broker.counts["dead-lettered"])

    # When the sweeper has come
    swept = await jobq("sweep")
    assert "read 1 dead letter" in swept.err

    # Then
    listed = await jobq("jobs", "--state", "failed")
    assert re.search(r"b-000001 +failed +lost", listed.out)
    assert "MaxDeliveryCountExceeded" in (await jobq("show", "b-000001")).out
    assert (await jobq("retry", "b-000001")).code == 0
    assert (await jobq("worker")).out == "[b-000001] back\n"


async def test_control_plane_serves_it_and_tells_workers_where_to_pull(
    jobq: Jobq, environment: dict[str, str], place: Place
) -> None:
    async with serving(environment) as url:
        # Given jobs pushed over HTTP, by somebody who knows nothing else
        thin = {name: value for name, value in environment.items() if not name.startswith("JOBQ")} | {"JOBQ": url}
        assert (await jobq("push", "--batch", "web", "-c", "echo over HTTP", env=thin)).code == 0

        # When a worker asks where the queue is, and pulls directly
        worker = {name: value for name, value in environment.items() if name != "JOBQ_TABLES"} | {"JOBQ": url}
        worked = await jobq("worker", env=worker)

        # Then
        assert worked.out == "[web-000001] over HTTP\n"
        assert f"takes jobs from {place.address}" in worked.err
        assert json.loads((await jobq("status", "-o", "json", env=thin)).out)["succeeded"] == 1


@asynccontextmanager
async def serving(environment: dict[str, str]) -> AsyncIterator[str]:
    """The realm's address over HTTP."""
    process = await asyncio.create_subprocess_exec(
        *_JOBQ, "serve", "--port", "0", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+", (await process.stderr.readline()).decode())
    assert found
    yield found[0]
    process.send_signal(signal.SIGINT)
    await process.communicate()


async def test_realm_without_a_table_is_refused_with_what_to_set(jobq: Jobq, environment: dict[str, str]) -> None:
    env = environment | {"JOBQ_TABLES": "", "JOBQ_CONNECTION_STRING": ""}

    answer = await jobq("push", "-c", "true", env=env)

    assert answer.code == 2
    assert re.fullmatch(
        r"error: sb://test/\S+ has its rows in a storage account: say which, JOBQ_TABLES=account\n", answer.err
    )


async def test_queue_that_does_not_exist_is_a_clear_error_and_the_push_is_completed_when_it_does(
    jobq: Jobq, environment: dict[str, str], place: Place
) -> None:
    async with Broker() as bare:
        env = environment | {"JOBQ_SERVICEBUS_CONNECTION_STRING": bare.connection_string}

        pushed = await jobq("push", "--batch", "b", "-c", "echo late", env=env)
        worked = await jobq("worker", env=env)

        for answer in (pushed, worked):
            assert answer.code == 3
            assert f"namespace test has no queue {place.address.realm}" in answer.err
            assert "Traceback" not in answer.err
        assert bare.violations == []

    assert (await jobq("push", "--batch", "b", "-c", "echo late")).code == 0
    assert (await jobq("worker")).out == "[b-000001] late\n"


async def test_lane_that_does_not_exist_is_refused_and_harms_nobody(
    jobq: Jobq, environment: dict[str, str], place: Place
) -> None:
    async with Broker(QueueSpec(place.address.realm)) as narrow:
        env = environment | {"JOBQ_SERVICEBUS_CONNECTION_STRING": narrow.connection_string}

        # When somebody misspells a lane
        answer = await jobq("push", "--batch", "b", "--lane", "9", "-c", "echo no", env=env)

        # Then that is said, and nothing is stored
        assert answer.code == 3
        assert f"has no queue {place.address.realm}-lane-9: could not send to queue " in answer.err
        assert (await jobq("jobs", env=env)).out == ""

        # And others work as before
        assert (await jobq("push", "--batch", "c", "-c", "echo yes", env=env)).code == 0
        assert (await jobq("worker", env=env)).out == "[c-000001] yes\n"
        assert (await jobq("sweep", env=env)).code == 0
        assert narrow.violations == []


async def test_bus_that_cannot_be_reached_is_an_error_and_never_an_empty_queue(
    jobq: Jobq, environment: dict[str, str]
) -> None:
    async with Broker() as gone:
        closed = gone.connection_string
    env = environment | {"JOBQ_SERVICEBUS_CONNECTION_STRING": closed}

    pushed, pulled = await asyncio.gather(jobq("push", "-c", "true", env=env), jobq("pull", env=env))

    assert (pushed.code, pulled.code) == (9, 9)
    assert "Traceback" not in pushed.err + pulled.err
