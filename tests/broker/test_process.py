"""The broker as a process of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.servicebus.aio import ServiceBusClient

from tests.broker.sdk import both_ends, messages, receive

ROOT = Path(__file__).resolve().parents[2]

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(*arguments)` gives a process, which ends with its standard input."""
    started: list[Process] = []

    def start(*arguments: str) -> Process:
        command = [sys.executable, "-m", "tests.broker", "--until-eof", *arguments]
        pipe = subprocess.PIPE
        started.append(process := subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines(process: Process, count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


async def test_process_says_where_it_listens_serves_and_reports(start: Start) -> None:
    process = start("--queue", "q:lock=5s,max-delivery=3,dedup=1m,ttl=1d")
    listening, connection_string = lines(process, 2)

    async with ServiceBusClient.from_connection_string(connection_string) as client:
        async with both_ends(client) as (sender, receiver):
            await sender.send_messages(messages("a"))
            [message] = await receive(receiver)
            await receiver.complete_message(message)
    output, errors = process.communicate(timeout=10)

    assert listening.startswith("listening on 127.0.0.1:")
    assert connection_string.startswith(f"Endpoint=sb://{listening.split()[-1]};")
    report = json.loads(output)
    assert (report["counts"]["sent"], report["counts"]["completed"]) == (1, 1)
    assert report["violations"] == []
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_ends_when_it_is_told_to(start: Start, number: signal.Signals) -> None:
    process = start("--any", "lock=5s")
    lines(process, 2)

    process.send_signal(number)
    output, errors = process.communicate(timeout=10)

    assert json.loads(output) == {"counts": {}, "violations": []}
    assert (process.returncode, errors) == (0, "")


def test_process_fails_if_somebody_broke_the_protocol(start: Start) -> None:
    process = start("--any", "")
    [listening, _] = lines(process, 2)
    with socket.create_connection(("127.0.0.1", int(listening.rpartition(":")[2]))) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        peer.recv(1000)

    output, _ = process.communicate(timeout=10)

    [violation] = json.loads(output)["violations"]
    assert "in place of the protocol header" in violation
    assert process.returncode == 1


@pytest.mark.parametrize("option", ["lock=5", "colour=red", "lock"])
def test_option_that_it_does_not_know_is_refused(start: Start, option: str) -> None:
    process = start("--any", option)

    _, errors = process.communicate(timeout=10)

    assert process.returncode == 2
    assert option.partition("=")[2] in errors
