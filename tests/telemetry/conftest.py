"""A realm, on a folder as a rule, real `jobq` processes, and a receiver of what they tell, once a test asks them to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.processes import Process, Processes, exit_code
from tests.stacks import Place, make_place
from tests.telemetry.receiver import Receiver, receiving

KEY = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(autouse=True)
def _silence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OTEL_", "APPLICATIONINSIGHTS_", "TRACE"))]:
        monkeypatch.delenv(name)


@pytest.fixture(params=["local"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Parametrize with `indirect` for others."""
    return make_place(request, request.param, tmp_path)


@pytest.fixture
def processes(place: Place, tmp_path: Path) -> Iterator[Processes]:
    folder = tmp_path / "processes"
    folder.mkdir()
    processes = Processes(place, folder)
    yield processes
    processes.kill_all()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def otlp(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """The receiver, which processes started from now on tell of their work."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    return receiver


@pytest.fixture
def application_insights(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """The same in the place of Application Insights. Its exporter asks nobody for settings."""
    text = f"InstrumentationKey={KEY};IngestionEndpoint={receiver.url}"
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", text)
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
    return receiver


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Path]:
    """A file; jobs wait while it is there, also those whose worker was killed."""
    file = tmp_path / "hold"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


async def succeeded(process: Process) -> None:
    assert await exit_code(process) == 0
