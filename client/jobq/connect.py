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


def open_stack(address: Address, settings: Settings, *, durable: bool = True) -> Stack:
    """The stack an address is on. The caller closes it. Loads an Azure SDK only where one is needed.

    `durable`: in a folder, whether a write survives a power cut; what a worker loses then only runs again.
    """
    if address.backend is Backend.LOCAL:
        from jobq.adapters.local import LocalStack

        return LocalStack(Path(address.place), durable=durable)
    if address.backend is Backend.STORAGE:
        return _storage(address, settings)
    raise BadInput(f"{address} is not a queue that this machine can pull from directly")


@asynccontextmanager
async def open_realm(address: Address, settings: Settings, *, durable: bool = True) -> AsyncIterator[Realm]:
    stack = open_stack(address, settings, durable=durable)
    try:
        yield Realm(stack, address.realm)
    finally:
        await stack.close()


def _storage(address: Address, settings: Settings) -> Stack:
    try:
        from jobq.adapters.azure import AzureStack
    except ImportError as error:
        raise BadInput(f"{address} needs the Azure libraries: pip install 'jobq[azure]' ({error})") from error
    if settings.connection_string:
        return AzureStack.from_connection_string(settings.connection_string)
    return AzureStack.from_account(address.place)
