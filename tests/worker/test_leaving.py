"""An idle machine leaves its scale set: which machine it is, and what the set says to that."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobq.errors import BadInput, Unreachable
from jobq.settings import Settings
from jobq.worker import leaving
from jobq.worker.leaving import Instance, leave_scale_set, this_instance
from tests.identity_endpoint import identity_endpoint
from tests.resource_manager import SCALE_SET, ResourceManager, resource_manager
from tests.worker.metadata_endpoint import MetadataEndpoint, metadata_endpoint

MACHINE = Instance(SCALE_SET, "1")


@pytest.fixture
def endpoint() -> Iterator[MetadataEndpoint]:
    with metadata_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[ResourceManager]:
    """A set of three, with an identity that it knows."""
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "IDENTITY_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with resource_manager() as manager, identity_endpoint() as (variables, _):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        manager.has("0", "1", "2")
        yield manager


@pytest.fixture
def settings(manager: ResourceManager) -> Settings:
    return Settings(resource_manager=manager.url)


@pytest.mark.parametrize(("machine", "is_flexible"), [("1", False), ("workers_a1b2", True)])
def test_machine_knows_its_set_and_itself(endpoint: MetadataEndpoint, machine: str, is_flexible: bool) -> None:
    endpoint.be_in(SCALE_SET, machine, is_flexible=is_flexible)

    assert this_instance(endpoint.url) == Instance(SCALE_SET, machine)


def test_machine_of_another_cloud_asks_its_manager(endpoint: MetadataEndpoint) -> None:
    endpoint.be_in(SCALE_SET, "1")
    endpoint.compute["azEnvironment"] = "AzureUSGovernmentCloud"

    assert this_instance(endpoint.url).manager == "https://management.usgovcloudapi.net"


def test_machine_in_no_set_is_refused(endpoint: MetadataEndpoint) -> None:
    endpoint.be_in(SCALE_SET, "1")
    endpoint.compute["vmScaleSetName"] = ""

    with pytest.raises(BadInput, match="omit --leave-scale-set"):
        this_instance(endpoint.url)


def test_machine_that_is_told_nothing_cannot_leave(endpoint: MetadataEndpoint) -> None:
    with pytest.raises(Unreachable, match="only one of a scale set in Azure can leave it"):
        this_instance(endpoint.url)
    endpoint.fails = 500
    with pytest.raises(Unreachable, match="HTTPError"):
        this_instance(endpoint.url)


async def test_set_is_asked_to_delete_this_machine(manager: ResourceManager, settings: Settings) -> None:
    assert await leave_scale_set(MACHINE, settings)
    assert manager.machines == {"0": "Succeeded", "1": "Deleting", "2": "Succeeded"}
    assert manager.asked == [("POST", "/delete")]


async def test_machine_stays_where_the_set_is_to_keep_so_many(manager: ResourceManager, settings: Settings) -> None:
    assert not await leave_scale_set(MACHINE, settings, keep=3)
    assert await leave_scale_set(MACHINE, settings, keep=2)
    assert manager.capacity == 2


async def test_machine_that_is_refused_ends_and_says_so(
    manager: ResourceManager, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    manager.refuse(403, "AuthorizationFailed")

    assert await leave_scale_set(MACHINE, settings)
    assert "this machine stays, idle, since it could not leave" in caplog.text
    assert "403 AuthorizationFailed" in caplog.text


async def test_machine_goes_on_where_the_set_is_in_trouble(
    manager: ResourceManager, settings: Settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "PATIENCE", timedelta(0))
    manager.refuse(429, "TooManyRequests", Retry_After="5")
    caplog.set_level(logging.WARNING)

    assert not await leave_scale_set(MACHINE, settings)
    assert "taking jobs again, since this machine could not leave" in caplog.text
