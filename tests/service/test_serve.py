"""`python -m jobq_service`, a real process on a free port."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from jobq.adapters.local import LocalStack

ROOT = Path(__file__).resolve().parents[2]
PUSH = {"batch": "b1", "jobs": [{"cmd": "true"}]}
TIMEOUT = 30


def command(*options: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "jobq_service", *options]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """An empty home, and nothing of ours but where the code is."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "client"), str(ROOT)]),
        **settings,
    }


@contextmanager
def serving(folder: Path, *options: str, **settings: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The control plane of realms in `folder`: its URL up to /api, and its process."""
    asked = command("--port", "0", "--queue", "local:q/demo", "-v", *options)
    env = environment(folder, **settings)
    with subprocess.Popen(asked, cwd=folder, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            url = re.search(r"at (http://\S+/api)/demo ", said)
            assert url, said + process.stderr.read()
            yield url[1], process
        finally:
            process.kill()


def refused(folder: Path, *options: str, **settings: str) -> tuple[int, str]:
    """Exit code and error of a control plane that does not start."""
    env = environment(folder, **settings)
    done = subprocess.run(command(*options), cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_jobs_are_pushed_and_counted_over_a_real_connection(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        pushed = requests.post(f"{url}/enqueue/demo/jobs", json=PUSH, timeout=TIMEOUT)
        body = gzip.compress(json.dumps({"jobs": [{"cmd": "true"}]}).encode())
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        zipped = requests.post(f"{url}/enqueue/demo/jobs", data=body, headers=headers, timeout=TIMEOUT)
        total = requests.get(f"{url}/status/demo/total", timeout=TIMEOUT)

    assert (pushed.status_code, zipped.status_code) == (200, 200)
    assert total.json()["queued"] == 2


def test_address_of_the_dashboard_is_said_and_leads_there(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, process):
        assert process.stderr is not None
        said = process.stderr.readline()
        page = requests.get(said.split()[-1], timeout=TIMEOUT)

    assert said == f"the dashboard is at {url.removesuffix('/api')}/dashboard/#/demo\n"
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_answer_without_a_body_leaves_the_connection_as_it_was(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _), requests.Session() as session:
        first = session.get(f"{url}/status", timeout=TIMEOUT)
        again = session.get(f"{url}/status", headers={"if-none-match": first.headers["etag"]}, timeout=TIMEOUT)
        after = session.get(f"{url}/status", timeout=TIMEOUT)

    assert [answer.status_code for answer in (first, again, after)] == [200, 304, 200]
    assert (again.content, after.content) == (b"", first.content)


def test_worker_is_told_the_absolute_folder(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        where = requests.get(f"{url}/status/other/where", timeout=TIMEOUT).json()

    assert where == {"address": f"local:{tmp_path / 'q'}/other", "tables": ""}


def test_another_host_name_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        answer = requests.get(f"{url}/status", headers={"host": "evil.example"}, timeout=TIMEOUT)

    assert answer.status_code == 403


def test_chunked_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, JOBQ_MAX_BODY_BYTES="10000") as (url, _):
        pieces = (b" " * 1000 for _ in range(20))
        headers = {"content-type": "application/json"}
        answer = requests.post(f"{url}/enqueue/demo/jobs", data=pieces, headers=headers, timeout=TIMEOUT)

    assert answer.status_code == 413


@pytest.mark.parametrize(
    "head",
    [f"GET /api/status?{'a' * 600_000} HTTP/1.1", f"GET /api/status HTTP/1.1\r\nx: {'a' * 600_000}"],
    ids=["url", "header"],
)
def test_head_without_end_is_refused_and_others_are_answered(tmp_path: Path, head: str) -> None:
    with serving(tmp_path) as (url, _):
        host, port = url.removeprefix("http://").removesuffix("/api").split(":")
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection, suppress(ConnectionError):
            connection.sendall(f"{head}\r\nhost: {host}:{port}\r\n\r\n".encode())
            said = connection.recv(65536)
        after = requests.get(f"{url}/status", timeout=TIMEOUT)

    assert said.startswith(b"HTTP/1.1 400 ")
    assert after.status_code == 200


def test_body_that_nobody_asked_for_is_not_taken_in(tmp_path: Path) -> None:
    """The answer comes before all of it was sent, and the connection is closed: nothing holds it."""
    with serving(tmp_path) as (url, _):
        host, port = url.removeprefix("http://").removesuffix("/api").split(":")
        length = 1_000_000_000_000
        with socket.create_connection((host, int(port)), timeout=TIMEOUT) as connection:
            path = "/api/manage/demo/jobs/a/retry"
            head = f"POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n"
            connection.sendall(f"{head}content-length: {length}\r\n\r\n".encode() + b" " * 10_000)
            said = connection.recv(65536)

    assert said.startswith(b"HTTP/1.1 404 ")


def test_caller_that_is_too_fast_is_told_when_to_go_on(tmp_path: Path) -> None:
    with serving(tmp_path, JOBQ_RATE_LIMIT="1") as (url, _), requests.Session() as session:
        answers = [session.get(f"{url}/status", timeout=TIMEOUT) for _ in range(100)]
        health = session.get(f"{url}/health", timeout=TIMEOUT)

    assert [answers[0].status_code, health.status_code] == [200, 200]
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}


def test_limit_of_zero_is_none(tmp_path: Path) -> None:
    with serving(tmp_path, JOBQ_RATE_LIMIT="0") as (url, _), requests.Session() as session:
        answers = [session.get(f"{url}/status", timeout=TIMEOUT) for _ in range(30)]

    assert {answer.status_code for answer in answers} == {200}


def test_keys_that_are_set_are_asked_for(tmp_path: Path) -> None:
    with serving(tmp_path, JOBQ_SERVE_KEYS="one-key-for-all-of-them") as (url, _):
        without = requests.get(f"{url}/status", timeout=TIMEOUT)
        key = {"x-functions-key": "one-key-for-all-of-them"}
        with_key = requests.get(f"{url}/status", headers=key, timeout=TIMEOUT)

    assert (without.status_code, with_key.status_code) == (401, 200)


@pytest.mark.parametrize("name", [signal.SIGTERM, signal.SIGINT])
def test_control_plane_that_is_asked_to_end_ends_well(tmp_path: Path, name: signal.Signals) -> None:
    with serving(tmp_path) as (url, process):
        requests.get(f"{url}/health", timeout=TIMEOUT)

        process.send_signal(name)

        assert process.wait(timeout=TIMEOUT) == 0


def test_log_has_neither_queries_nor_headers(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, process):
        headers = {"x-functions-key": "sesame-header"}
        requests.get(f"{url}/status/de%0Amo?code=sesame-query", headers=headers, timeout=TIMEOUT)
        process.terminate()
        _, said = process.communicate(timeout=TIMEOUT)

    assert "answered GET /api/status/de%0Amo: 400" in said
    assert "sesame" not in said


async def test_timer_sweeps_realms_that_are_there(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, _):
        requests.post(f"{url}/enqueue/demo/jobs", json=PUSH, timeout=TIMEOUT)

    with serving(tmp_path):
        stack = LocalStack(tmp_path / "q")
        deadline = time.monotonic() + TIMEOUT
        while await stack.table.get("demo~sweep", "lease") is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        lease = await stack.table.get("demo~sweep", "lease")
        await stack.close()

    assert lease is not None


def test_port_in_use_is_an_error_with_advice(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = refused(tmp_path, "--queue", "local:q/demo", "--port", str(taken.getsockname()[1]))

    assert code == 1
    assert said.startswith("error: cannot listen on 127.0.0.1 port")
    assert "--port" in said
    assert said.count("\n") == 1


def test_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "--queue", "local:q/demo", "--port", "0", "--host", "0.0.0.0")

    assert code == 2
    assert "JOBQ_SERVE_KEYS" in said


def test_no_queue_is_refused_naming_the_forms(tmp_path: Path) -> None:
    code, said = refused(tmp_path, "--port", "0")

    assert code == 2
    assert all(form in said for form in ("mystorage/exp7", "sb://", "https://", "local:"))


@pytest.mark.parametrize(("name", "value"), [("JOBQ_MAX_BODY_BYTES", "8M"), ("JOBQ_RATE_LIMIT", "-1")])
def test_limit_that_is_no_number_is_refused(tmp_path: Path, name: str, value: str) -> None:
    code, said = refused(tmp_path, "--queue", "local:q/demo", "--port", "0", **{name: value})

    assert code == 2
    assert name in said


def test_backend_that_cannot_be_opened_is_not_reachable(tmp_path: Path) -> None:
    store = tmp_path / "q" / "jobq.sqlite3"
    store.parent.mkdir()
    store.write_text("no database " * 100)

    code, said = refused(tmp_path, "--queue", "local:q/demo", "--port", "0")

    assert code == 9
    assert "jobq.sqlite3" in said
