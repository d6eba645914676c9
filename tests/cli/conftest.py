from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobq.backend import Backend, open_backend
from jobq.model.address import parse_address
from jobq.settings import Settings
from tests.cli.stub_service import StubService
from tests.cli.terminal import Terminal

ADDRESS = "local:./q/demo"


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh folder, an empty home, and nothing of jobq's in the environment but the queue."""
    for name in [name for name in os.environ if name.startswith(("JOBQ", "RESTQ", "XDG_CONFIG"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JOBQ", ADDRESS)
    monkeypatch.chdir(work)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def backend() -> Iterator[Backend]:
    """The queue that the commands of a test use, asked directly."""
    backend = open_backend(parse_address(ADDRESS), Settings())
    yield backend
    backend.close()


@pytest.fixture
def stub() -> Iterator[StubService]:
    with StubService() as service:
        yield service
