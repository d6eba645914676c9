"""Working out a template's expressions, resources and modules."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.bicep.calls import LAMBDAS, PLACES
from tests.infra.bicep.deployment import Answer, BadTemplate, Deployment, Made, settled
from tests.infra.bicep.functions import FUNCTIONS, Later, as_text
from tests.infra.bicep.syntax import (
    Declaration,
    Template,
    elements,
    entries,
    expressions,
    key_text,
    parse,
    source,
    string_parts,
)

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
    "%": operator.mod,
    "=~": lambda one, two: one.lower() == two.lower(),
    "!~": lambda one, two: one.lower() != two.lower(),
}
_UNDER_WAY = object()
Maker = Callable[["Scope", Declaration], Any]


@dataclass(frozen=True, slots=True)
class Module:
    """A module that was worked out, as `name.outputs.x` reads it."""

    scope: Scope
    name: str

    def read(self, name: str) -> Any:
        return self.scope if name == "outputs" else self.name


@dataclass(slots=True)
class Scope:
    """One template under evaluation: its parameters, and what was worked out so far.

    `makers` make what is declared as `resource` and as `module`.
    """

    template: Template
    parameters: Mapping[str, Any]
    deployment: Deployment
    makers: Mapping[str, Maker]
    known: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(
        cls, path: Path, parameters: Mapping[str, Any], deployment: Deployment, makers: Mapping[str, Maker]
    ) -> Scope:
        template = parse(path)
        if template.problems:
            raise BadTemplate(template.problems[0])
        unknown = sorted(set(parameters) - {found.name for found in template.of_kind("param")})
        if unknown:
            raise BadTemplate(f"{path.name}: has no parameter {', '.join(unknown)}")
        return cls(template, parameters, deployment, makers)

    def run(self) -> None:
        """Work out every parameter, resource and module."""
        for kind in ("param", "resource", "module"):
            for found in self.template.of_kind(kind):
                self.named(found.name, found.node)

    def output(self, name: str) -> Any:
        return settled(self.value(self.template.outputs[name].parts[-1], {}))

    read = output

    def named(self, name: str, asked_by: Node) -> Any:
        """The value of a declaration, worked out once."""
        found = self.template.declarations.get(name)
        if found is None:
            raise BadTemplate(f"{self.template.where(asked_by)}: {name} is not declared")
        if self.known.get(name) is _UNDER_WAY:
            raise BadTemplate(f"{self.template.where(asked_by)}: {name} depends on itself")
        if name not in self.known:
            self.known[name] = _UNDER_WAY
            self.known[name] = self._declared(found)
        return self.known[name]

    def _declared(self, found: Declaration) -> Any:
        if found.kind == "param":
            return self._parameter(found)
        if found.kind in self.makers:
            return self.makers[found.kind](self, found)
        return self.value(found.parts[-1], {})

    def _parameter(self, found: Declaration) -> Any:
        given = self.parameters.get(found.name)
        if found.name not in self.parameters:
            if len(found.parts) > 1:
                given = self.value(found.parts[-1], {})
            elif not found.declared.endswith("?"):
                raise BadTemplate(f"{self.template.path.name}: parameter {found.name} is not given")
        self._check_bounds(found, given)
        return given

    def _check_bounds(self, found: Declaration, given: Any) -> None:
        allowed = self.value(found.decorators["allowed"][0], {}) if "allowed" in found.decorators else None
        size = given if isinstance(given, int) else len(given) if isinstance(given, str | list) else 0
        low, high = (
            self.value(found.decorators[name][0], {}) if name in found.decorators else size
            for name in (("minValue", "maxValue") if isinstance(given, int) else ("minLength", "maxLength"))
        )
        if isinstance(given, Later) or given is None:
            return
        items = given if isinstance(given, list) else [given]
        if (allowed is not None and any(item not in allowed for item in items)) or not low <= size <= high:
            raise BadTemplate(f"{self.template.path.name}: parameter {found.name} does not allow {given!r}")

    def value(self, node: Node, names: Mapping[str, Any]) -> Any:
        """The value of an expression; `names` are those of the loops and lambdas around it."""
        try:
            return _FORMS[node.type](self, node, names)
        except BadTemplate:
            raise
        except Exception as error:
            raise BadTemplate(f"{self.template.where(node)}: {source(node)[:80]!r}: {error!r}") from error


def _string(scope: Scope, node: Node, names: Mapping[str, Any]) -> str:
    parts = [
        part if isinstance(part, str) else as_text(settled(scope.value(part, names))) for part in string_parts(node)
    ]
    text = "".join(parts)
    return Later(text) if any(not isinstance(part, str) for part in string_parts(node)) and "<" in text else text


def _identifier(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    name = source(node)
    return names[name] if name in names else scope.named(name, node)


def _object(scope: Scope, node: Node, names: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in entries(node):
        name = _string(scope, key, names) if key.type == "string" else key_text(key)
        if name in found:
            raise BadTemplate(f"{scope.template.where(key)}: {name} is set twice")
        found[name] = settled(scope.value(value, names))
    return found


def _array(scope: Scope, node: Node, names: Mapping[str, Any]) -> list[Any]:
    return [settled(scope.value(child, names)) for child in elements(node)]


def rounds(scope: Scope, node: Node, names: Mapping[str, Any]) -> list[tuple[Node, dict[str, Any]]]:
    """A loop's rounds: the body of each and the names it sees."""
    first, over, body = expressions(node)
    variables = [source(child) for child in first.named_children] if first.named_children else [source(first)]
    values = scope.value(over, names)
    return [(body, {**names, **dict(zip(variables, (item, at), strict=False))}) for at, item in enumerate(values)]


def _loop(scope: Scope, node: Node, names: Mapping[str, Any]) -> list[Any]:
    return [settled(scope.value(body, inner)) for body, inner in rounds(scope, node, names)]


def _member(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    parts = expressions(node)
    return member(scope, node, scope.value(parts[0], names), source(parts[-1]))


def member(scope: Scope, node: Node, base: Any, name: str) -> Any:
    if isinstance(base, Later):
        return Later(f"{base}.{name}")
    if isinstance(base, dict):
        if name in base:
            return base[name]
        if "?" in source(node) or base.get("*"):
            return None
        raise BadTemplate(f"{scope.template.where(node)}: there is no {name} in {source(node)}")
    if base is None and ".?" in source(node):
        return None
    if isinstance(base, Scope) and name not in base.template.outputs:
        raise BadTemplate(f"{scope.template.where(node)}: {base.template.path.name} has no output {name}")
    return base.read(name)


def _subscript(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    parts = expressions(node)
    base, at = scope.value(parts[0], names), settled(scope.value(parts[-1], names))
    if isinstance(base, list):
        return base[at]
    if isinstance(base, Answer):
        return base.read(at)
    return member(scope, node, base, at)


def _nested(scope: Scope, node: Node, names: Mapping[str, Any]) -> Made:
    base, name = expressions(node)
    made = scope.value(base, names)
    return made.nested[source(name)]


def _unary(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    value = scope.value(expressions(node)[0], names)
    return (not value) if source(node).startswith("!") else -value


def _binary(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    left, right = expressions(node)
    sign = next(source(child) for child in node.children if not child.is_named)
    one = settled(scope.value(left, names))
    if sign == "&&":
        return one and scope.value(right, names)
    if sign == "||":
        return one or scope.value(right, names)
    if sign == "??":
        return one if one is not None else scope.value(right, names)
    return _OPERATORS[sign](one, settled(scope.value(right, names)))


def _ternary(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    condition, yes, no = expressions(node)
    return scope.value(yes if scope.value(condition, names) else no, names)


def _lambda(scope: Scope, node: Node, names: Mapping[str, Any]) -> Callable[..., Any]:
    first, body = expressions(node)
    variables = [source(child) for child in first.named_children] or [source(first)]
    return lambda *values: settled(scope.value(body, {**names, **dict(zip(variables, values, strict=False))}))


def _call(scope: Scope, node: Node, names: Mapping[str, Any]) -> Any:
    called, arguments = expressions(node)
    name = source(called).removeprefix("sys.").removeprefix("az.")
    if "." in name:
        raise BadTemplate(f"{scope.template.where(node)}: calls {name}, which asks Azure")
    values = [settled(scope.value(child, names)) for child in expressions(arguments)]
    own = scope.template.declarations.get(name)
    if own is not None and own.kind == "func":
        return _own_function(scope, own, values)
    if name in FUNCTIONS:
        return FUNCTIONS[name](*values)
    if name in LAMBDAS:
        return LAMBDAS[name](*values)
    if name in PLACES:
        return PLACES[name](scope, *values)
    raise BadTemplate(f"{scope.template.where(node)}: there is no function {name}")


def _own_function(scope: Scope, own: Declaration, values: list[Any]) -> Any:
    variables = [source(parameter.named_children[0]) for parameter in own.parts[0].named_children]
    return scope.value(own.parts[-1], dict(zip(variables, values, strict=True)))


_FORMS: dict[str, Callable[[Scope, Node, Mapping[str, Any]], Any]] = {
    "array": _array,
    "binary_expression": _binary,
    "boolean": lambda scope, node, names: source(node) == "true",
    "call_expression": _call,
    "for_statement": _loop,
    "identifier": _identifier,
    "lambda_expression": _lambda,
    "member_expression": _member,
    "null": lambda scope, node, names: None,
    "number": lambda scope, node, names: int(source(node)),
    "object": _object,
    "parenthesized_expression": lambda scope, node, names: scope.value(expressions(node)[0], names),
    "resource_expression": _nested,
    "string": _string,
    "subscript_expression": _subscript,
    "ternary_expression": _ternary,
    "unary_expression": _unary,
}
