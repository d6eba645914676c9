"""Which storage account is meant: its name, where its services are, and how its callers show who they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from jobq.errors import BadInput

_SERVICES = ("blob", "queue", "table")
_DEVELOPMENT = "UseDevelopmentStorage=true"


@dataclass(frozen=True, slots=True)
class Account:
    """A storage account as addressed; what there is to say about it in messages, without its secrets."""

    address: str
    name: str
    blob: str
    """The host of the service, with its port where it has one."""
    queue: str
    table: str
    has_key: bool = False
    """Whether callers are known by a key or a signature, and not by their identity."""

    @classmethod
    def from_name(cls, account: str) -> Account:
        """`name`, in the public cloud, or `name.suffix` for another one, for example `name.core.usgovcloudapi.net`."""
        name, _, suffix = account.partition(".")
        suffix = suffix or "core.windows.net"
        for service in _SERVICES:
            suffix = suffix.removeprefix(f"{service}.")
        if not name.isalnum():
            raise BadInput(f"{account!r} is not a storage account: give its name, or its name and the cloud's suffix")
        blob, queue, table = (f"{name}.{service}.{suffix}" for service in _SERVICES)
        return cls(account, name, blob, queue, table)


def connection_string_of(text: str) -> str:
    """The text as all three SDKs read it: each takes another subset of what people write for Azurite."""
    text = text.strip().rstrip(";")
    return _DEVELOPMENT if text.lower() == _DEVELOPMENT.lower() else text


def blob_host_of(text: str, queue_host: str) -> str:
    """The host of the blobs that a connection string names, without the SDK for blobs."""
    named = re.search(r"(?:^|;)\s*BlobEndpoint=([^;]+)", text, re.IGNORECASE)
    if named:
        return urlsplit(named[1]).netloc
    return "127.0.0.1:10000" if text == _DEVELOPMENT else queue_host.replace(".queue.", ".blob.", 1)
