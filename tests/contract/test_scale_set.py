"""The scale set's adapter, against a server that answers as Azure Resource Manager does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from jobq.adapters import scale_set as adapter
from jobq.adapters.scale_set import Machines, NoCapacity, ScaleSet
from jobq.errors import BadInput, JobqError, NotAllowed, NotFound, Unreachable
from tests.resource_manager import SCALE_SET, Credential, ResourceManager, resource_manager


@pytest.fixture
def manager() -> Iterator[ResourceManager]:
    with resource_manager() as manager:
        yield manager


@pytest.fixture
async def scale_set(manager: ResourceManager) -> AsyncIterator[ScaleSet]:
    async with ScaleSet(SCALE_SET, Credential(), manager=manager.url) as scale_set:
        yield scale_set


async def test_machines_are_counted_over_all_pages(manager: ResourceManager, scale_set: ScaleSet) -> None:
    manager.has("0", "1", "2", "3", "4")
    manager.machines |= {"1": "Deleting", "3": "Failed", "4": "Creating"}

    assert await scale_set.machines() == Machines(5, 3, is_changing=False, has_failed=False)
    assert await scale_set.capacity() == 5


async def test_growth_is_accepted_first_and_done_later(manager: ResourceManager, scale_set: ScaleSet) -> None:
    await scale_set.grow(3)
    assert await scale_set.machines() == Machines(3, 0, is_changing=True, has_failed=False)
    with pytest.raises(Unreachable, match="409 Conflict"):
        await scale_set.grow(4)

    manager.arrive()
    assert await scale_set.machines() == Machines(3, 3, is_changing=False, has_failed=False)
    manager.state = "Failed"
    assert (await scale_set.machines()).has_failed


async def test_quota_is_told_from_trouble(manager: ResourceManager, scale_set: ScaleSet) -> None:
    manager.quota = 7

    with pytest.raises(NoCapacity, match="exceeding approved Total Regional Cores quota"):
        await scale_set.grow(8)
    manager.refuse(409, "SkuNotAvailable", message="no Spot machines of this size")
    with pytest.raises(NoCapacity, match="no Spot machines"):
        await scale_set.grow(7)
    await scale_set.grow(7)
    assert manager.capacity == 7


async def test_machine_leaves_and_the_set_wants_one_less(manager: ResourceManager, scale_set: ScaleSet) -> None:
    manager.has("0", "1", "2")

    await scale_set.remove("1")

    assert await scale_set.machines() == Machines(2, 2, is_changing=False, has_failed=False)
    assert manager.machines["1"] == "Deleting"


async def test_not_now_is_tried_again_as_long_as_there_is_patience(
    manager: ResourceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "FIRST_PAUSE_SECONDS", 0.01)
    manager.has("0")
    manager.refuse(429, "TooManyRequests", Retry_After="0")
    manager.refuse(409, "Conflict")
    manager.refuse(503, "ServiceUnavailable")

    async with ScaleSet(SCALE_SET, Credential(), manager=manager.url, patience=timedelta(seconds=5)) as patient:
        await patient.remove("0")
        manager.refuse(429, "TooManyRequests", Retry_After="600")
        with pytest.raises(Unreachable, match="429 TooManyRequests: not now"):
            await patient.remove("0")

    assert manager.asked == [("POST", "/delete")] * 5


async def test_refusals_say_what_to_do(manager: ResourceManager, scale_set: ScaleSet) -> None:
    manager.refuse(403, "AuthorizationFailed", message="The client 'x' does not have authorization")
    with pytest.raises(NotAllowed, match="lacks the action, so assign it the role"):
        await scale_set.grow(1)
    manager.refuse(404, "ResourceNotFound")
    with pytest.raises(NotFound, match="is the id right"):
        await scale_set.machines()
    manager.refuse(400, "InvalidParameter", message="bad")
    with pytest.raises(JobqError, match="400 InvalidParameter: bad"):
        await scale_set.grow(1)


async def test_manager_that_does_not_answer_is_unreachable(manager: ResourceManager) -> None:
    async with ScaleSet(SCALE_SET, Credential(), manager="http://127.0.0.1:9") as scale_set:
        with pytest.raises(Unreachable, match="did not answer: could not read it, of scale set workers"):
            await scale_set.machines()


async def test_token_is_for_the_manager_and_goes_nowhere_else(manager: ResourceManager) -> None:
    credential = Credential()
    manager.has("0", "1", "2")
    manager.next_link = f"http://localhost:{manager.url.rpartition(':')[2]}{SCALE_SET}/virtualMachines"

    async with ScaleSet(SCALE_SET, credential, manager=manager.url) as scale_set:
        with pytest.raises(Unreachable, match="leads to localhost; not followed"):
            await scale_set.machines()

    assert set(credential.scopes) == {f"{manager.url}/.default"}


@pytest.mark.parametrize("resource", ["", "workers", SCALE_SET + "/virtualMachines/1", SCALE_SET + "?x=1"])
def test_id_of_something_else_is_refused(resource: str) -> None:
    with pytest.raises(BadInput, match="not the id of a scale set"):
        ScaleSet(resource, Credential())


@pytest.mark.parametrize("manager", ["http://management.azure.com", "management.azure.com"])
def test_token_is_not_sent_in_the_clear(manager: str) -> None:
    with pytest.raises(BadInput, match="no Resource Manager"):
        ScaleSet(SCALE_SET, Credential(), manager=manager)
