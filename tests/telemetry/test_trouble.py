"""What must not hurt the work: an endpoint in trouble, a variable that is wrong, libraries that are missing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.fault.processes import CLIENT, Processes
from tests.stacks import Place
from tests.telemetry.conftest import KEY, succeeded
from tests.telemetry.receiver import Receiver

GENEROUS_SECONDS = 25
"""For a push or a worker; alone it takes a second, and some more for an endpoint that does not answer."""

JOBQ = """
import atexit, sys
{before}
atexit.register(lambda: print("loaded:", [name for name in sys.modules if name.startswith("opentelemetry")]))
from jobq.cli.main import cli
cli.main({arguments})
"""


def run(place: Place, *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`jobq ARGUMENTS`, which ends with a line of what it has loaded."""
    code = JOBQ.format(before=before, arguments=list(arguments))
    env = {**place.environment, "PYTHONPATH": str(CLIENT)}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def hang(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.go_on.clear()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")


def refuse(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    receiver.status = 503


def be_away(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")


def be_away_from_azure(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
    text = f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:9"
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", text)
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")


@pytest.mark.parametrize("trouble", [hang, refuse, be_away, be_away_from_azure])
async def test_endpoint_in_trouble_neither_slows_nor_fails_the_work(
    trouble: Callable[[Receiver, pytest.MonkeyPatch], None],
    otlp: Receiver,
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given one that is asked often
    trouble(otlp, monkeypatch)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "50")

    # When
    started = time.monotonic()
    await succeeded(processes.jobq("push", "--batch", "b", lines="sleep 0.1\n" * 20))
    pushed = time.monotonic()
    await succeeded(processes.worker("--exit-when-empty"))

    # Then
    assert pushed - started < GENEROUS_SECONDS
    assert time.monotonic() - pushed < GENEROUS_SECONDS
    assert "20 succeeded" in processes.said(1)
    for said in (processes.said(0), processes.said(1)):
        assert said.count("could not send spans or metrics") == 1, said
        assert "Traceback" not in said
        assert KEY not in said


def test_script_without_logging_is_told_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    code = "from jobq import Client\nwith Client() as queue: print(queue.push(['true']).queued)"
    env = {**place.environment, "PYTHONPATH": str(CLIENT)}

    # When
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)

    # Then
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr.startswith("could not send spans or metrics to 127.0.0.1:9 (ConnectionError)")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("text", ["InstrumentationKey=0123-4567", "nonsense", "IngestionEndpoint=https://x"])
async def test_broken_connection_string_is_said_without_it_and_work_goes_on(
    text: str, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", text)

    # When
    await succeeded(processes.jobq("push", "-c", "true"))

    # Then
    assert processes.said(0).count("spans and metrics cannot be sent") == 1
    assert text not in processes.said(0)
    assert "Pushed 1 job" in processes.said(0)


def test_nothing_of_opentelemetry_is_loaded_where_nobody_asks_for_it(place: Place) -> None:
    for arguments in (("push", "-c", "true"), ("worker",), ("push", "--wait", "--dry-run", "-c", "true")):
        done = run(place, *arguments)
        assert (done.returncode, "loaded: []" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "APPLICATIONINSIGHTS_CONNECTION_STRING"])
def test_missing_libraries_are_said_once_and_work_goes_on(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setenv(name, "http://127.0.0.1:9")

    # When
    done = run(place, "push", "-c", "true", before="sys.modules['opentelemetry.sdk'] = None")

    # Then
    assert done.returncode == 0
    assert done.stderr.count("pip install 'jobq[telemetry]'") == 1
    assert "Pushed 1 job" in done.stderr
