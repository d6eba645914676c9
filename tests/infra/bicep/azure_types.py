"""Resources against Azure's own types, which an npm package of Microsoft's carries: `@azure/mcp`."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.infra.bicep.deployment import Made
from tests.infra.bicep.functions import Later

_MODULES = Path(__file__).resolve().parents[3] / "node_modules"
_PLAIN: dict[str, tuple[type, ...]] = {"string": (str,), "int": (int, float), "bool": (bool,), "object": (dict,)}
_ANY = ("any", "null")
_LIMIT = re.compile(r"\b(minValue|maxValue|minLength|maxLength): (-?\d+)")
_DIAGNOSTIC = {
    # The package has no such type in this version; these are the properties that we use of it.
    "bodyType": {
        "$type": "Object",
        "name": "Microsoft.Insights/diagnosticSettings",
        "properties": [
            {"name": "name", "type": "string", "flags": "Required"},
            {"name": "properties", "type": "DiagnosticSettings", "flags": "Required"},
        ],
    },
    "name": "Microsoft.Insights/diagnosticSettings@2021-05-01-preview",
}
_DIAGNOSTIC_PARTS = {
    "DiagnosticSettings": {"workspaceId": "string", "logs": "LogSettings[]", "metrics": "MetricSettings[]"},
    "LogSettings": {"category": "string", "categoryGroup": "string", "enabled": "bool"},
    "MetricSettings": {"category": "string", "enabled": "bool"},
}


class TypesMissing(Exception):
    """The package is not installed; the message says what to run."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What one resource type may hold: its body, and the objects that this is made of by their names."""

    version: str
    body: dict[str, Any]
    objects: dict[str, dict[str, Any]]


@dataclass(slots=True)
class AzureTypes:
    """The types of `@azure/mcp`, asked of a child process. Each is asked for once; `close` ends the process."""

    process: subprocess.Popen[str]
    known: dict[str, Shape] = field(default_factory=dict)

    @classmethod
    def installed(cls) -> AzureTypes:
        """Those in node_modules. Raises TypesMissing."""
        machine = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        command = _MODULES / f"@azure/mcp-{platform.system().lower()}-{machine}/dist/azmcp"
        if not command.is_file():
            raise TypesMissing("Azure's types are not installed; `npm ci` installs them as package-lock.json says")
        quiet = {"AZURE_MCP_COLLECT_TELEMETRY": "false", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
        types = cls(
            subprocess.Popen(
                [command, "server", "start", "--namespace", "bicepschema", "--mode", "all"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "HOME": tempfile.gettempdir(), **quiet},
                text=True,
            )
        )
        who = {
            "protocolVersion": "2024-11-05",
            "capabilities": {},
            "clientInfo": {"name": "jobq-tests", "version": "0"},
        }
        types._ask("initialize", who)
        return types

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def problems_of(self, made: Made) -> list[str]:
        """Properties of the resource that Azure does not know or would refuse, and those that it misses."""
        try:
            shape = self.shape(made.type)
        except LookupError as error:
            return [f"{made.where}: {error}"]
        if shape.version != made.version:
            return [f"{made.where}: {made.type} is of {made.version}, checked are {shape.version}"]
        return [f"{made.where}: {made.symbol}{problem}" for problem in _Check(shape).object(made.body, shape.body, "")]

    def shape(self, type: str) -> Shape:
        if type not in self.known:
            self.known[type] = _shape(self._answers(type), type)
        return self.known[type]

    def _answers(self, type: str) -> list[dict[str, Any]]:
        if type == "Microsoft.Insights/diagnosticSettings":
            return [_DIAGNOSTIC, *(_plain_object(name, parts) for name, parts in _DIAGNOSTIC_PARTS.items())]
        answer = self._ask("tools/call", {"name": "bicepschema_get", "arguments": {"resource-type": type}})
        described = json.loads(answer["content"][0]["text"])
        if described["status"] != 200:
            raise LookupError(f"Azure has no type {type}: {described['message']}")
        answers = described["results"]["BicepSchemaResult"]
        return [answer for answer in answers if answer["$type"] != "ResourceInstanceFunction"]

    def _ask(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """One JSON-RPC call over the process's pipes."""
        if self.process.stdin is None or self.process.stdout is None:
            raise TypesMissing("the process has no pipes")
        print(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}), file=self.process.stdin)
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if "result" in answer:
                return dict(answer["result"])
            if "error" in answer:
                raise LookupError(f"{method}: {answer['error']}")
        raise TypesMissing("the process that knows Azure's types has ended")


def _plain_object(name: str, parts: dict[str, str]) -> dict[str, Any]:
    return {"$type": "Object", "name": name, "properties": [{"name": own, "type": of} for own, of in parts.items()]}


def _shape(answers: list[dict[str, Any]], type: str) -> Shape:
    wanted = next(one for one in answers if "bodyType" in one and one["name"].lower().startswith(type.lower() + "@"))
    objects = {one["name"]: one for one in answers if "bodyType" not in one}
    return Shape(wanted["name"].partition("@")[2], wanted["bodyType"], objects)


@dataclass(frozen=True, slots=True)
class _Check:
    shape: Shape

    def object(self, value: dict[str, Any], expected: dict[str, Any], at: str) -> Iterator[str]:
        """What is wrong with an object at a path."""
        properties = {one["name"]: one for one in expected.get("properties", expected.get("baseProperties", []))}
        if "elements" in expected:
            key = expected["discriminator"]
            named = (one["properties"] for one in expected["elements"] if self._is_called(one, key, value.get(key)))
            properties |= {one["name"]: one for one in next(named, [])}
        rest = expected.get("additionalPropertiesType")
        for name, item in value.items():
            if name in properties:
                yield from self._property(item, properties[name], f"{at}.{name}")
            elif rest is None:
                yield f"{at}: has no property {name}"
            else:
                yield from self.value(item, rest, f"{at}.{name}")
        for name, one in properties.items():
            if "Required" in one.get("flags", "") and name not in value:
                yield f"{at}: misses the property {name}"

    @staticmethod
    def _is_called(element: dict[str, Any], key: str, name: Any) -> bool:
        return any(one["name"] == key and name in one["type"].split(" | ") for one in element["properties"])

    def _property(self, value: Any, expected: dict[str, Any], at: str) -> Iterator[str]:
        if "ReadOnly" in expected.get("flags", ""):
            yield f"{at}: can only be read"
            return
        yield from self.value(value, expected["type"], at)
        limits = dict(_LIMIT.findall(expected.get("modifiers", "")))
        size = value if isinstance(value, int) else len(value) if isinstance(value, str) else None
        low, high = limits.get("minValue", limits.get("minLength")), limits.get("maxValue", limits.get("maxLength"))
        if size is None or isinstance(value, bool | Later):
            return
        if (low and size < int(low)) or (high and size > int(high)):
            yield f"{at}: {value!r} is not from {low} to {high}"

    def value(self, value: Any, expected: str, at: str) -> Iterator[str]:
        """What is wrong with a value of a type as the package writes it: `string`, `A | B`, `Name`, `Name[]`."""
        if expected in _ANY or isinstance(value, Later):
            return
        choices = expected.split(" | ")
        if expected.endswith("[]") and (len(choices) == 1 or expected.startswith("(")):
            if not isinstance(value, list):
                yield f"{at}: is no array"
                return
            for number, item in enumerate(value):
                yield from self.value(item, expected[:-2].strip("()"), f"{at}[{number}]")
        elif expected in self.shape.objects:
            if isinstance(value, dict):
                yield from self.object(value, self.shape.objects[expected], at)
            else:
                yield f"{at}: is no object"
        elif expected in _PLAIN:
            if not isinstance(value, _PLAIN[expected]) or (isinstance(value, bool) and expected != "bool"):
                yield f"{at}: {value!r} is no {expected}"
        elif str(value) not in choices:
            yield f"{at}: {value!r} is none of {expected[:160]}"
