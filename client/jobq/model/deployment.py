"""What a deployment of `infra/` has made, from its outputs, and what that means in a `.jobq.toml`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobq.errors import BadInput
from jobq.model.address import Address, Backend, parse_address

HOW = "az deployment group show --resource-group <group> --name <deployment> --query properties.outputs --output json"


@dataclass(frozen=True, slots=True)
class Deployment:
    queue: Address
    """Its first realm, where workers pull."""
    tables: str = ""
    """The storage account with the rows of realms on Service Bus."""
    api_url: str = ""
    """Of the control plane, if there is one."""

    def settings(self, *, realm: str = "", over_http: bool = False) -> str:
        """A `.jobq.toml`. `over_http`: for who has a key and no roles. Raises BadInput without a control plane."""
        realm = realm or self.queue.realm
        direct, served = str(replace(self.queue, realm=realm)), f"{self.api_url}/{realm}"
        if over_http:
            if not self.api_url:
                raise BadInput(
                    f"the deployment has no control plane: its outputs lack JOBQ_API_URL. Print them with `{HOW}`"
                )
            lines = ["# Over HTTP: set JOBQ_KEY to a key of the function app.", f"queue = {_toml(served)}"]
        else:
            lines = [f"queue = {_toml(direct)}"]
            lines += [f"tables = {_toml(self.tables)}"] if self.tables else []
            lines += [f"# Over HTTP, with a key in JOBQ_KEY and no roles: {served}"] if self.api_url else []
        return "\n".join(lines) + "\n"


def parse_deployment(data: bytes) -> Deployment:
    """From the outputs, or the whole deployment, as `az` prints them. BadInput names all that is missing."""
    outputs = _outputs(data)
    values = {name.upper(): _value(output) for name, output in outputs.items()}
    queue = values.get("JOBQ", "")
    needed = ("JOBQ", "JOBQ_TABLES") if queue.startswith("sb://") else ("JOBQ",)
    if missing := [name for name in needed if not values.get(name)]:
        there = ", ".join(sorted(values)) or "nothing"
        raise BadInput(
            f"the outputs lack {' and '.join(missing)} (they have {there}): they are not those of "
            f"infra/main.bicep, or the deployment has failed. Print them with `{HOW}`"
        )
    address = _address("JOBQ", queue)
    api_url = values.get("JOBQ_API_URL", "").rstrip("/")
    if api_url:
        api_url = api_url if api_url.endswith("/api") else f"{api_url}/api"
        _address("JOBQ_API_URL", f"{api_url}/{address.realm}")
    return Deployment(address, values["JOBQ_TABLES"] if len(needed) > 1 else "", api_url)


def _outputs(data: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadInput(f"this is no JSON ({error}). Print the deployment's outputs with `{HOW}`") from error
    if isinstance(document, dict) and isinstance(document.get("properties"), dict):
        document = document["properties"].get("outputs")
    if document is None:
        raise BadInput(
            "the deployment has no outputs: it has not succeeded, or is another one; see `az deployment group list`"
        )
    if not isinstance(document, dict):
        raise BadInput(f"this is JSON, but no outputs by their names. Print them with `{HOW}`")
    return document


def _value(output: object) -> str:
    """`az` prints an output as `{"type": "String", "value": …}`, and may change the case of its name."""
    value = output.get("value") if isinstance(output, dict) else output
    if value is not None and not isinstance(value, str):
        return json.dumps(value)  # one that nobody asks for here
    return (value or "").strip()


def _address(name: str, text: str) -> Address:
    try:
        address = parse_address(text)
    except BadInput as error:
        raise BadInput(f"the output {name} is not what it should be: {error}") from error
    wanted = (Backend.HTTP,) if name == "JOBQ_API_URL" else (Backend.STORAGE, Backend.SERVICE_BUS)
    if address.backend not in wanted:
        raise BadInput(f"the output {name} is not what it should be: {text!r}")
    return address


def _toml(text: str) -> str:
    return json.dumps(text)
