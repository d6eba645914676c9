"""A storage account, and a Service Bus namespace if there is one: time, login, then what jobq does there."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import partial

from jobq import connect
from jobq.adapters.azure import AzureStack
from jobq.adapters.azure_probe import AzureProbe
from jobq.adapters.service_bus_probe import BusProbe
from jobq.adapters.service_bus_stack import ServiceBusStack
from jobq.core.ports import BlobStore, Stack, Table
from jobq.core.realm import Realm
from jobq.doctor.check import Checkup
from jobq.doctor.probes import new_body, try_blobs, try_table
from jobq.doctor.pulse import examine_pulse
from jobq.errors import JobqError
from jobq.model.address import Address
from jobq.model.names import DEFAULT_LANE, queue_name
from jobq.settings import Settings


async def examine_azure(address: Address, settings: Settings, checkup: Checkup) -> None:
    stack = connect.open_stack(address, settings)
    try:
        if isinstance(stack, ServiceBusStack):
            index, bus = stack.probe()
            if await examine_account(index, checkup):
                for lane in await _lanes(stack, address.realm):
                    await _examine_bus(bus, address.realm, lane, checkup)
        else:
            assert isinstance(stack, AzureStack)
            probe = stack.probe()
            if await examine_account(probe, checkup):
                for lane in await _lanes(stack, address.realm):
                    name = queue_name(address.realm, lane)
                    await checkup.look(f"queue{_of(lane)}", partial(_try_queue, probe, name))
    finally:
        await stack.close()


async def examine_account(probe: AzureProbe, checkup: Checkup) -> bool:
    """Whether anything else is worth a try: a machine that reaches nothing, or is nobody, fails everywhere."""
    if not await examine_pulse(probe.url, checkup):
        return False
    if not await checkup.look("login", lambda: _login(probe, checkup)):
        return False
    await checkup.look("table", lambda: _try_table(probe.table()))
    await checkup.look("blob", lambda: _try_blobs(probe.blobs()))
    return True


async def _login(probe: AzureProbe, checkup: Checkup) -> str:
    who = checkup.who = await probe.login()
    if who is None:
        return "no login: a connection string is set, with a key or a signature"
    ids = ", ".join(f"{name} {value}" for name, value in (("object", who.object_id), ("tenant", who.tenant)) if value)
    return f"{who.kind} {who.name}" + (f" ({ids})" if ids else "")


async def _try_table(table: AbstractAsyncContextManager[Table]) -> str:
    async with table as its:
        return await try_table(its)


async def _try_blobs(blobs: AbstractAsyncContextManager[BlobStore]) -> str:
    async with blobs as its:
        return await try_blobs(its)


async def _lanes(stack: Stack, realm: str) -> list[str]:
    """That the realm has; lane 0 where nothing was pushed yet, or it cannot be looked at, as table says."""
    try:
        return await Realm(stack, realm).lanes() or [DEFAULT_LANE]
    except JobqError:
        return [DEFAULT_LANE]


def _of(lane: str) -> str:
    return "" if lane == DEFAULT_LANE else f", lane {lane}"


async def _try_queue(probe: AzureProbe, name: str) -> str:
    return f"sent, renewed, peeked at and deleted a message in {await probe.queue(name, new_body())}"


async def _examine_bus(probe: BusProbe, realm: str, lane: str, checkup: Checkup) -> None:
    queue = queue_name(realm, lane)

    async def send() -> str:
        await probe.send(queue, new_body())
        return f"scheduled and cancelled a message in queue {queue}"

    async def listen() -> str:
        await probe.listen(queue)
        return f"looked through queue {queue}"

    await checkup.look(f"servicebus send{_of(lane)}", send)
    await checkup.look(f"servicebus receive{_of(lane)}", listen)
