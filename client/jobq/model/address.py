"""A queue's address: `account/realm`, `sb://namespace/realm`, `https://host/api/realm`, `local:./dir/realm`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from jobq.errors import BadInput
from jobq.model.names import realm_name

FORMS = (
    "mystorage/exp7 (a Storage account), sb://mybus/exp7 (Service Bus), "
    "https://myapp.azurewebsites.net/api/exp7 (the HTTP control plane), local:./q/exp7 (a folder of this machine)"
)


_CLOUDS = (
    *(".core.windows.net", ".core.usgovcloudapi.net", ".core.chinacloudapi.cn", ".storage.azure.net"),
    *(".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn"),
)


class Backend(StrEnum):
    STORAGE = "storage"
    SERVICE_BUS = "servicebus"
    HTTP = "http"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Address:
    backend: Backend
    place: str
    """Account, namespace, base URL up to `/api` without the slash, or folder."""
    realm: str
    tables: str = ""
    """The storage account with the rows and blobs of a realm on Service Bus, if it is known with the address."""

    def __str__(self) -> str:
        prefix = {Backend.LOCAL: "local:", Backend.SERVICE_BUS: "sb://"}.get(self.backend, "")
        return f"{prefix}{self.place}/{self.realm}"


def parse_address(text: str) -> Address:
    """Split at the last slash. Raises BadInput, naming the four forms."""
    text = text.strip()
    place, slash, realm = text.rpartition("/")
    if not slash or not place:
        raise BadInput(f"{text!r} does not say which queue: write {FORMS}")
    realm = realm_name(realm)
    if place.startswith("local:"):
        return Address(Backend.LOCAL, place.removeprefix("local:") or "/", realm)
    if place.startswith("sb://"):
        return Address(Backend.SERVICE_BUS, _host(place.removeprefix("sb://"), text), realm)
    if place.startswith(("https://", "http://")):
        return Address(Backend.HTTP, _base_url(place, text), realm)
    return Address(Backend.STORAGE, _host(place, text), realm)


def is_outside_azure(address: str) -> bool:
    """Whether it is a storage account or a namespace by a host name of its own choosing, to which a login would go."""
    host = address.strip().removeprefix("sb://").partition("/")[0].lower()
    return "." in host and not host.startswith("local:") and not host.endswith(_CLOUDS)


def _host(name: str, text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", name):
        return name
    raise BadInput(f"{name!r} in {text!r} is neither a storage account nor a namespace: write {FORMS}")


def _base_url(url: str, text: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.query or parts.fragment or parts.username or parts.password is not None:
        raise BadInput("the URL must be like https://host/api/realm, without key, query or login (keys go in JOBQ_KEY)")
    if not parts.path.endswith("/api"):
        raise BadInput(f"{text!r} has no '/api' before the realm: write https://host/api/{text.rpartition('/')[2]}")
    return url
