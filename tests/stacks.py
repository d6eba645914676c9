"""A realm of its own for one test, for this process and for real worker processes: on a folder, on Azurite, or with its
tickets in the loopback Service Bus broker and its rows on Azurite."""

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
from tests.broker import Broker

PLACES = ["local", "azurite", "servicebus"]


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
        return clean | {
            "JOBQ": str(self.address),
            "JOBQ_CONNECTION_STRING": self.settings.connection_string,
            "JOBQ_SERVICEBUS_CONNECTION_STRING": self.settings.servicebus_connection_string,
        }


def make_place(request: pytest.FixtureRequest, kind: str, folder: Path) -> Place:
    realm = f"t{uuid.uuid4().hex[:20]}"
    if kind == "local":
        return Place(parse_address(f"local:{folder}/q/{realm}"), Settings())
    azurite: str = request.getfixturevalue("azurite")
    if kind == "azurite":
        return Place(parse_address(f"{ACCOUNT}/{realm}"), Settings(connection_string=azurite))
    broker: Broker = request.getfixturevalue("broker")
    settings = Settings(connection_string=azurite, servicebus_connection_string=broker.connection_string)
    return Place(parse_address(f"sb://test/{realm}"), settings)
