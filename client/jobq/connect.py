"""From an address to a realm: the one place that knows which adapter serves which form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.errors import BadInput
from jobq.model.address import Address, Backend
from jobq.settings import Settings


def check_settings(address: Address, settings: Settings) -> None:
    """Raises BadInput where they lack what the address needs: before anything is tried."""
    knows_tables = address.tables or settings.tables or settings.connection_string
    if address.backend is Backend.SERVICE_BUS and not knows_tables:
        raise BadInput(f"{address} has its rows in a storage account: say which, JOBQ_TABLES=account")


def open_stack(address: Address, settings: Settings, *, durable: bool = True) -> Stack:
    """The stack an address is on. The caller closes it. Loads an Azure SDK only where one is needed. Raises BadInput.

    `durable`: in a folder, whether a write survives a power cut; what a worker loses then only runs again.
    """
    check_settings(address, settings)
    if address.backend is Backend.LOCAL:
        from jobq.adapters.local import LocalStack

        return LocalStack(Path(address.place), durable=durable)
    if address.backend is Backend.HTTP:
        raise BadInput(f"{address} is a control plane, which this machine cannot pull from directly")
    try:
        return _storage(address, settings) if address.backend is Backend.STORAGE else _service_bus(address, settings)
    except ImportError as error:
        raise BadInput(f"{address} needs the Azure libraries: pip install 'jobq[azure]' ({error})") from error


@asynccontextmanager
async def open_realm(address: Address, settings: Settings, *, durable: bool = True) -> AsyncIterator[Realm]:
    stack = open_stack(address, settings, durable=durable)
    try:
        yield Realm(stack, address.realm)
    finally:
        await stack.close()


def _storage(address: Address, settings: Settings) -> Stack:
    from jobq.adapters.azure import AzureStack

    if settings.connection_string:
        return AzureStack.from_connection_string(settings.connection_string)
    return AzureStack.from_account(address.place, managed_identity=settings.managed_identity)


def _service_bus(address: Address, settings: Settings) -> Stack:
    from jobq.adapters.service_bus_stack import ServiceBusStack

    return ServiceBusStack.open(
        address.place,
        address.tables or settings.tables,
        bus_connection_string=settings.servicebus_connection_string,
        storage_connection_string=settings.connection_string,
        managed_identity=settings.managed_identity,
    )
