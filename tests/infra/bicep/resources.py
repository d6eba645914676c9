"""Working out a declared resource or module: its name, its id, and what it holds; and so a whole deployment."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.bicep.deployment import BadTemplate, Deployment, Made, id_of, settled
from tests.infra.bicep.evaluate import Module, Scope, rounds
from tests.infra.bicep.syntax import Declaration, body_of, entries, expressions, key_text, nested, source

_META = ("parent", "scope", "dependsOn", "name")


def deploy(
    main: Path, parameters: Mapping[str, Any], *, group: str = "rg-jobq", location: str = "westeurope"
) -> Deployment:
    """Work out what `az deployment group create -f main` would make. Raises BadTemplate."""
    deployment = Deployment(group, location)
    scope = Scope.open(main, parameters, deployment, {"resource": make, "module": make_module})
    scope.run()
    deployment.outputs = {name: scope.output(name) for name in scope.template.outputs}
    return deployment


def make(scope: Scope, found: Declaration, parent: Made | None = None, around: Mapping[str, Any] | None = None) -> Any:
    """The resource, or with a loop the list of them; all that are wanted are put into the deployment."""
    return _each(scope, found, found.parts[-1], around or {}, parent, True)


def _each(
    scope: Scope, found: Declaration, node: Node, names: Mapping[str, Any], parent: Made | None, wanted: bool
) -> Any:
    if node.type == "for_statement":
        return [_each(scope, found, body, inner, parent, wanted) for body, inner in rounds(scope, node, names)]
    if node.type == "if_statement":
        condition, body = expressions(node)
        return _each(scope, found, body, names, parent, wanted and bool(scope.value(condition, names)))
    return _one(scope, found, node, names, parent, wanted)


def _one(
    scope: Scope, found: Declaration, node: Node, names: Mapping[str, Any], parent: Made | None, wanted: bool
) -> Made:
    parts = {key_text(key): value for key, value in entries(node)}
    type, _, version = found.declared.partition("@")
    if "parent" in parts:
        parent = scope.value(parts["parent"], names)
    name = scope.value(parts["name"], names) if "name" in parts else "unnamed"
    if parent is not None:
        type = type if "/" in type and type.startswith(parent.type) else f"{parent.type}/{type}"
        version = version or parent.version
        name = f"{parent.name}/{name}"
    if type.count("/") != name.count("/") + 1:
        raise BadTemplate(f"{scope.template.where(node)}: the name {name!r} does not fit the type {type}")
    base = _base(scope, parts.get("scope"), names, type)
    id = id_of(parent.id.partition("/providers/")[0] if parent else base, type, name)
    made = Made(type, version, name, id, base, {}, scope.template.where(node), found.name, found.is_existing, wanted)
    if wanted:
        made.body = _without_nulls(
            {key: settled(scope.value(value, names)) for key, value in parts.items() if key not in _META}
        )
        if "dependsOn" in parts:
            scope.value(parts["dependsOn"], names)
        if "name" in parts:
            made.body["name"] = made.last_name
        if not found.is_existing:
            scope.deployment.resources.append(made)
            scope.deployment.declared.add(f"{scope.template.path.name}:{found.line}")
    for inner in nested(node):
        made.nested[inner.name] = make(scope, inner, made, {**names, found.name: made, **made.nested})
    return made


def _without_nulls(value: Any) -> Any:
    """A property that is null is one that is not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _base(scope: Scope, node: Node | None, names: Mapping[str, Any], type: str) -> str:
    """The id of what the resource lives in or applies to: the group, unless its `scope` says something else."""
    if node is None:
        return scope.deployment.group_id
    value = scope.value(node, names)
    if isinstance(value, Made):
        return value.id
    if not isinstance(value, dict) or ("tenantId" not in value and "location" not in value):
        raise BadTemplate(f"{scope.template.where(node)}: {source(node)} is no scope for {type}")
    return str(value.get("id", ""))


def make_module(scope: Scope, found: Declaration) -> Any:
    """The module, or with a loop the list of them, with its resources in the deployment."""
    return _each_module(scope, found, found.parts[-1], {})


def _each_module(scope: Scope, found: Declaration, node: Node, names: Mapping[str, Any]) -> Any:
    if node.type == "for_statement":
        return [_each_module(scope, found, body, inner) for body, inner in rounds(scope, node, names)]
    if node.type == "if_statement":
        condition, body = expressions(node)
        return _each_module(scope, found, body, names) if scope.value(condition, names) else None
    return _one_module(scope, found, body_of(node), names)


def _one_module(scope: Scope, found: Declaration, node: Node, names: Mapping[str, Any]) -> Module:
    path = scope.template.path.parent / found.declared
    if found.declared.startswith(("br:", "br/", "ts:", "ts/")) or not path.is_file():
        raise BadTemplate(f"{scope.template.where(node)}: {found.declared} is no file of this folder")
    parts = {key_text(key): value for key, value in entries(node)}
    given = settled(scope.value(parts["params"], names)) if "params" in parts else {}
    inner = Scope.open(path, given, scope.deployment, scope.makers)
    scope.deployment.declared.add(f"{scope.template.path.name}:{found.line}")
    inner.run()
    return Module(inner, found.name)
