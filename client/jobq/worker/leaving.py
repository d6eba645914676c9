"""Leaving a scale set: a machine that has had nothing to do asks the set to delete this very machine."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import requests

from jobq.connect import open_scale_set
from jobq.errors import BadInput, JobqError, Unreachable
from jobq.settings import Settings
from jobq.worker.scheduled_events import ENDPOINT, NAME_VERSION, SECONDS

logger = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=1)
"""How long a refusal as "not now" is tried again: others of the set may leave at the same moment."""
MANAGERS = {
    "azureusgovernmentcloud": "https://management.usgovcloudapi.net",
    "azurechinacloud": "https://management.chinacloudapi.cn",
}
"""Of clouds beside the public one, by the name that a machine has for its cloud."""
_INSTANCE = re.compile(r".*/virtualMachineScaleSets/[^/]+/virtualMachines/([^/]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Instance:
    """This machine, as one of a scale set."""

    scale_set: str
    """The set's resource id."""
    id: str
    """In the set: a number, or in a flexible set the machine's name."""
    manager: str = ""
    """The Resource Manager of its cloud, where it is not the public one's."""


def this_instance(endpoint: str = ENDPOINT) -> Instance:
    """Waits for the answer. Raises Unreachable; BadInput where this machine is in no scale set.

    Source: "Azure Instance Metadata Service", instance/compute.
    """
    with requests.Session() as session:
        session.trust_env = False  # a proxy would answer for another machine
        try:
            answer = session.get(
                f"{endpoint}/metadata/instance/compute",
                params={"api-version": NAME_VERSION, "format": "json"},
                headers={"Metadata": "true"},
                timeout=SECONDS,
            )
            answer.raise_for_status()
            return _instance(answer.json())
        except BadInput:
            raise
        except (requests.RequestException, ValueError, LookupError, TypeError) as error:
            raise Unreachable(
                f"{endpoint} did not say which machine this is ({type(error).__name__}); only one of a scale set in "
                "Azure can leave it"
            ) from error


async def leave_scale_set(instance: Instance, settings: Settings, *, keep: int = 0) -> bool:
    """Whether to end: this machine will be deleted, or may not ask for that. False: to go on, and ask later again.

    That is so where the set has no more than `keep` machines, or is in trouble.
    """
    settings = replace(settings, resource_manager=settings.resource_manager or instance.manager)
    scale_set = open_scale_set(instance.scale_set, settings, patience=PATIENCE)
    try:
        async with scale_set:
            if keep and await scale_set.capacity() <= keep:
                logger.info("staying: scale set %s has no more than %d machines", scale_set.name, keep)
                return False
            await scale_set.remove(instance.id)
            logger.info("asked scale set %s to delete this machine, %s", scale_set.name, instance.id)
    except Unreachable as error:
        logger.warning("taking jobs again, since this machine could not leave: %s", error)
        return False
    except JobqError as error:
        logger.error("this machine stays, idle, since it could not leave: %s", error)
    return True


def _instance(found: Any) -> Instance:
    name, resource = str(found["vmScaleSetName"]), str(found["resourceId"])
    if not name:
        raise BadInput(f"machine {found['name']} is in no scale set that it could leave: omit --leave-scale-set")
    in_set = _INSTANCE.fullmatch(resource)
    group = f"/subscriptions/{found['subscriptionId']}/resourceGroups/{found['resourceGroupName']}"
    return Instance(
        scale_set=f"{group}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}",
        id=in_set[1] if in_set else str(found["name"]),
        manager=MANAGERS.get(str(found.get("azEnvironment", "")).lower(), ""),
    )
