"""All checks of an address, whichever of the four forms it has."""

from __future__ import annotations

import asyncio
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jobq import __version__
from jobq.connect import check_settings
from jobq.doctor.check import Check, Checkup
from jobq.model.address import Address, Backend
from jobq.settings import Settings

_LIBRARIES = ("azure-identity", "azure-data-tables", "azure-storage-queue", "azure-storage-blob", "azure-servicebus")


def examine(address: Address, settings: Settings) -> list[Check]:
    """In order; what cannot be tried any more is left out. Raises BadInput where nothing can be tried at all."""
    check_settings(address, settings)
    return asyncio.run(_examine(address, settings, Path(address.place).absolute()))


async def _examine(address: Address, settings: Settings, folder: Path) -> list[Check]:
    checkup = Checkup()
    await checkup.look("version", lambda: _versions(address))
    if address.backend is Backend.HTTP:
        from jobq.doctor.service import examine_service

        await examine_service(address, settings, checkup)
    elif address.backend is Backend.LOCAL:
        from jobq.doctor.folder import examine_folder

        await examine_folder(folder, checkup)
    else:
        from jobq.doctor.azure import examine_azure

        await examine_azure(address, settings, checkup)
    return checkup.checks


async def _versions(address: Address) -> str:
    """Of what is in use here, for who asks for help."""
    of_azure = address.backend in (Backend.STORAGE, Backend.SERVICE_BUS)
    libraries = [f"{name} {found}" for name in _LIBRARIES if of_azure and (found := _version(name))]
    return ", ".join((f"jobq {__version__}", f"Python {sys.version.split()[0]}", *libraries))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
