"""Places for realms: a folder, Azurite, Service Bus (a broker of its own process), and a control plane over HTTP."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jobq.realms import Realms
from tests.azurite import ACCOUNT
from tests.realms.serving import serving
from tests.service_bus import broker_process


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh folder, an empty home, and nothing of jobq's in the environment."""
    for name in [name for name in os.environ if name.startswith(("JOBQ", "RESTQ", "XDG_CONFIG"))]:
        monkeypatch.delenv(name)
    for folder in ("home", "work"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def realm() -> str:
    """A name that nobody else uses, and that Python takes for one too."""
    return f"t{uuid.uuid4().hex[:20]}"


@pytest.fixture
def place(request: pytest.FixtureRequest, realm: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The place of the kind that the test's parameter names, which the environment names too, with that realm."""
    with _opened(request, realm, monkeypatch) as address:
        monkeypatch.setenv("JOBQ", f"{address}/{realm}")
        yield address


@contextmanager
def _opened(request: pytest.FixtureRequest, realm: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "local":
        yield f"local:{Path.cwd()}/q"
    elif request.param == "http":
        with serving(realm) as url:
            yield url
    else:
        monkeypatch.setenv("JOBQ_CONNECTION_STRING", request.getfixturevalue("azurite"))
        if request.param == "azurite":
            yield ACCOUNT
            return
        with broker_process() as (_, connection_string):
            monkeypatch.setenv("JOBQ_SERVICEBUS_CONNECTION_STRING", connection_string)
            monkeypatch.setenv("JOBQ_TABLES", ACCOUNT)
            yield "sb://test"


@pytest.fixture
def realms() -> Iterator[Realms]:
    """On a folder."""
    with Realms("local:./q/") as realms:
        yield realms


@pytest.fixture
def others() -> Iterator[Realms]:
    """The same, as another process would have them."""
    with Realms("local:./q/") as realms:
        yield realms
