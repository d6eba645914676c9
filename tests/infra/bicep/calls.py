"""Calls in a template: lambdas, its own functions, files beside it, and where it is deployed to."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, Any

from tests.infra.bicep.deployment import SUBSCRIPTION, TENANT, id_of
from tests.infra.bicep.functions import FUNCTIONS

if TYPE_CHECKING:
    from tests.infra.bicep.evaluate import Scope


def _with_index(function: Callable[..., Any], items: list[Any]) -> list[Any]:
    return [function(item, at) for at, item in enumerate(items)]


LAMBDAS: dict[str, Callable[..., Any]] = {
    "filter": lambda items, keep: [item for item in items if keep(item)],
    "reduce": lambda items, first, step: reduce(step, items, first),
    "map": lambda items, function: _with_index(function, items),
    "toObject": lambda items, key, value=lambda item: item: {key(item): value(item) for item in items},
}


def _file(scope: Scope, name: str) -> str:
    return (scope.template.path.parent / name).read_text(encoding="utf-8")


PLACES: dict[str, Callable[..., Any]] = {
    "loadTextContent": _file,
    "loadJsonContent": lambda scope, name: json.loads(_file(scope, name)),
    "loadFileAsBase64": lambda scope, name: FUNCTIONS["base64"](_file(scope, name)),
    "deployment": lambda scope: {"name": "main"},
    "environment": lambda scope: {
        "name": "AzureCloud",
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
        "resourceManager": "https://management.azure.com/",
    },
    "resourceGroup": lambda scope: {
        "id": scope.deployment.group_id,
        "name": scope.deployment.group,
        "location": scope.deployment.location,
        "tags": {},
    },
    "subscription": lambda scope: {
        "id": SUBSCRIPTION,
        "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
        "tenantId": TENANT,
    },
    "tenant": lambda scope: {"tenantId": TENANT},
    "resourceId": lambda scope, type, *names: id_of(scope.deployment.group_id, type, "/".join(names)),
    "subscriptionResourceId": lambda scope, type, *names: id_of(SUBSCRIPTION, type, "/".join(names)),
}
