"""From an address to a realm: the one place that knows which adapter serves which form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobq.core.ports import Stack
from jobq.core.realm import Realm
from jobq.errors import BadInput
from jobq.model.address import Address, Backend
from jobq.model.outputs import blob_place
from jobq.settings import Settings
from jobq.sync.target import BlobTarget, FolderTarget, Target

if TYPE_CHECKING:
    from jobq.adapters.scale_set import ScaleSet


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


def open_target(text: str, address: Address, settings: Settings, *, here: Path) -> Target:
    """Where a job's outputs go, as `model.outputs` says. The caller closes it. Raises BadInput.

    `here`: where a relative path begins. A container with no account named is in the realm's own.
    """
    place = blob_place(text)
    if place is None:
        return FolderTarget(here / text)
    account = place.account or (address.place if address.backend is Backend.STORAGE else settings.tables)
    if not (account or settings.connection_string):
        raise BadInput(
            f"{text}: {address} has no storage account that the container could be in; write "
            f"https://<account>.blob.core.windows.net/{place.container}/{place.prefix}"
        )
    from jobq.adapters.azure import AzureStack

    if settings.connection_string and not place.account:
        stack = AzureStack.from_connection_string(settings.connection_string, container=place.container)
    else:
        stack = AzureStack.from_account(account, container=place.container)
    return BlobTarget(stack.blobs, place.prefix, stack.close)


def open_scale_set(resource: str, settings: Settings, *, patience: timedelta = timedelta(0)) -> ScaleSet:
    """A scale set by its id, with this machine's identity. The caller closes it. Raises BadInput.

    `patience`: how long what is refused as "not now" is tried again.
    """
    try:
        from jobq.adapters.scale_set import ScaleSet
    except ImportError as error:
        raise BadInput(f"scale sets need the Azure libraries: pip install 'jobq[azure]' ({error})") from error
    return ScaleSet.open(
        resource, manager=settings.resource_manager, managed_identity=settings.managed_identity, patience=patience
    )


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
