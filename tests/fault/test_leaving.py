"""A worker on a machine of a scale set: it leaves when it has been idle, and at no other end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from jobq.core.realm import Realm
from tests.fault.processes import Process, Processes, exit_code
from tests.identity_endpoint import identity_endpoint
from tests.resource_manager import SCALE_SET, ResourceManager, resource_manager
from tests.until import until
from tests.worker.metadata_endpoint import MetadataEndpoint, metadata_endpoint
from tests.worker.running import push, states

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("place", ["local"], indirect=True)]


@dataclass
class Machine:
    """With a set of two around it, of which it is the second."""

    processes: Processes
    manager: ResourceManager
    endpoint: MetadataEndpoint
    variables: dict[str, str]

    def worker(self, *options: str, idle: str = "0.2s") -> Process:
        env = [f"{name}={value}" for name, value in self.variables.items()]
        leaving = ("--leave-scale-set", "--scheduled-events", self.endpoint.url)
        return self.processes.worker("--idle-timeout", idle, *leaving, *options, before=["env", *env])


@pytest.fixture
def machine(processes: Processes) -> Iterator[Machine]:
    with resource_manager() as manager, metadata_endpoint() as endpoint, identity_endpoint() as (variables, _):
        manager.has("0", "1")
        endpoint.be_in(SCALE_SET, "1")
        yield Machine(processes, manager, endpoint, {"JOBQ_RESOURCE_MANAGER": manager.url, **variables})


async def test_idle_worker_ends_well_and_its_machine_goes(realm: Realm, machine: Machine) -> None:
    ids = await push(realm, "true", "true")

    assert await exit_code(machine.worker()) == 0

    assert await states(realm, ids) == ["succeeded", "succeeded"]
    assert machine.manager.machines == {"0": "Succeeded", "1": "Deleting"}


async def test_worker_that_the_set_keeps_goes_on_with_new_jobs(realm: Realm, machine: Machine) -> None:
    worker = machine.worker("--keep-instances", "2")
    await until(lambda: len(machine.manager.asked) >= 2)  # it has stayed, and asked again

    ids = await push(realm, "true")

    await until(lambda: _succeeded(realm, ids))
    machine.manager.capacity = 3
    assert await exit_code(worker) == 0
    assert machine.manager.machines["1"] == "Deleting"


async def test_refusal_is_said_and_is_no_failure(realm: Realm, machine: Machine) -> None:
    machine.manager.refuse(403, "AuthorizationFailed")

    assert await exit_code(machine.worker()) == 0

    assert "this machine stays, idle" in machine.processes.said(0)
    assert "Traceback" not in machine.processes.said(0)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
async def test_worker_that_is_ended_does_not_take_its_machine_along(
    realm: Realm, machine: Machine, ending: signal.Signals
) -> None:
    worker = machine.worker(idle="1h")
    ids = await push(realm, "true")
    await until(lambda: _succeeded(realm, ids))

    worker.send_signal(ending)

    assert await exit_code(worker) == (-ending if ending is signal.SIGKILL else 0)
    assert machine.manager.asked == []


async def test_machine_in_no_scale_set_is_refused_at_once(realm: Realm, machine: Machine) -> None:
    machine.endpoint.compute["vmScaleSetName"] = ""

    assert await exit_code(machine.worker()) == 2

    assert "is in no scale set that it could leave" in machine.processes.said(0)


async def _succeeded(realm: Realm, ids: list[str]) -> bool:
    return set(await states(realm, ids)) == {"succeeded"}
