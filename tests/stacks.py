"""A realm of its own for one test, on a folder or on Azurite, for this process and for real worker processes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from jobq.connect import open_realm
from jobq.core.realm import Realm
from jobq.model.address import Address, parse_address
from jobq.settings import Settings
from tests.azurite import ACCOUNT

PLACES = ["local", "azurite"]


@dataclass(frozen=True, slots=True)
class Place:
    address: Address
    settings: Settings

    def open(self) -> AbstractAsyncContextManager[Realm]:
        return open_realm(self.address, self.settings, durable=False)

    @property
    def environment(self) -> Mapping[str, str]:
        """For a `jobq` process: this process's, without settings of its own, and where the realm is."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("JOBQ", "RESTQ"))}
        return clean | {"JOBQ": str(self.address), "JOBQ_CONNECTION_STRING": self.settings.connection_string}


def make_place(request: pytest.FixtureRequest, kind: str, folder: Path) -> Place:
    realm = f"t{uuid.uuid4().hex[:20]}"
    if kind == "local":
        return Place(parse_address(f"local:{folder}/q/{realm}"), Settings())
    return Place(parse_address(f"{ACCOUNT}/{realm}"), Settings(connection_string=request.getfixturevalue("azurite")))
