"""What is wrong with the names of a template: undefined, unused, declared twice; unknown decorators; long ways out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tree_sitter import Node

from tests.infra.bicep.calls import LAMBDAS, PLACES
from tests.infra.bicep.functions import FUNCTIONS
from tests.infra.bicep.syntax import Declaration, Template, elements, entries, key_text, nested, parse, source, walk

_DECORATORS = {"description", "allowed", "minLength", "maxLength", "minValue", "maxValue", "batchSize", "export"}
_SECRET = re.compile(r"(?i)password|secret|token|connection_?string|access_?key|account_?key|sas\b")


def problems_of(template: Template) -> list[str]:
    """All that can be said of one file without working it out."""
    found = list(template.problems)
    used: set[str] = set()
    for declared in (*template.declarations.values(), *template.outputs.values()):
        used |= {name for name in _names(declared.node, template, frozenset(), found) if name != declared.name}
    found += [
        f"{template.where(one.node)}: {one.kind} {one.name} is not used"
        for one in template.declarations.values()
        if one.kind in ("param", "var", "func", "type") and one.name not in used
    ]
    found += [problem for one in template.of_kind("param") for problem in _parameter(template, one)]
    found += [problem for one in template.of_kind("module") for problem in _module(template, one)]
    for one in template.declarations.values():
        unknown = sorted(set(one.decorators) - _DECORATORS)
        found += [f"{template.where(one.node)}: no decorator is called {name}" for name in unknown]
    return found


def _parameter(template: Template, one: Declaration) -> Iterator[str]:
    """Parameters are described, and none is a secret."""
    if "description" not in one.decorators:
        yield f"{template.where(one.node)}: parameter {one.name} has no description"
    if "secure" in one.decorators or _SECRET.search(one.name):
        yield f"{template.where(one.node)}: parameter {one.name} would be a secret"
    if one.declared == "int" and not {"minValue", "allowed"} & set(one.decorators):
        yield f"{template.where(one.node)}: the number {one.name} has no bound"


def _module(template: Template, one: Declaration) -> Iterator[str]:
    """Modules are files of this folder, and are given what they ask for."""
    path = template.path.parent / one.declared
    if not path.is_file():
        yield f"{template.where(one.node)}: {one.declared} is no file"
        return
    inner = parse(path)
    asked = {param.name: len(param.parts) > 1 or param.declared.endswith("?") for param in inner.of_kind("param")}
    body = next(node for node in walk(one.node) if node.type == "object")
    given = {key_text(key): value for key, value in entries(body)}
    names = {key_text(key) for key, _ in entries(given["params"])} if "params" in given else set()
    yield from (f"{template.where(one.node)}: {one.declared} has no parameter {name}" for name in names - set(asked))
    missing = {name for name, is_optional in asked.items() if not is_optional} - names
    yield from (f"{template.where(one.node)}: {one.declared} is not given {name}" for name in sorted(missing))
    yield from _outputs(template, one, set(inner.outputs))


def _outputs(template: Template, one: Declaration, outputs: set[str]) -> Iterator[str]:
    asked = re.compile(rf"\b{one.name}(?:!|\.)?\.?outputs\.(\w+)")
    for name in asked.findall(source(template.root)):
        if name not in outputs:
            yield f"{template.path.name}: module {one.name} has no output {name}"


def _names(node: Node, template: Template, around: frozenset[str], found: list[str]) -> Iterator[str]:
    """The declarations that an expression uses; says in `found` what is declared nowhere."""
    kind = node.type
    if kind == "call_expression":
        yield from _called(node, template, around, found)
        return
    if kind == "identifier":
        yield from _one_name(node, template, around, found)
        return
    children = node.named_children
    if kind in ("resource_declaration", "module_declaration", "variable_declaration", "parameter_declaration"):
        around, children = around | {inner.name for inner in nested(_body(node))}, children[1:]
    elif kind in ("output_declaration", "object_property"):
        children = children if children[0].type in ("string", "resource_declaration") else children[1:]
    elif kind == "user_defined_function":
        around = around | {source(one.named_children[0]) for one in children[1].named_children}
        children = children[-1:]
    elif kind == "type_declaration":
        children = []
    elif kind in ("for_statement", "lambda_expression"):
        first = children[0]
        around = around | ({source(one) for one in first.named_children} or {source(first)})
        children = children[1:]
    elif kind == "array":
        children = elements(node)
    elif kind == "resource_expression":
        children = children[:1]
    for child in children:
        yield from _names(child, template, around, found)


def _body(node: Node) -> Node:
    return next((inner for inner in walk(node) if inner.type == "object"), node)


def _one_name(node: Node, template: Template, around: frozenset[str], found: list[str]) -> Iterator[str]:
    name = source(node)
    if name in template.declarations:
        yield name
    elif name not in around:
        found.append(f"{template.where(node)}: {name} is not declared")


def _called(node: Node, template: Template, around: frozenset[str], found: list[str]) -> Iterator[str]:
    called, arguments = node.named_children[:2]
    name = source(called).removeprefix("sys.").removeprefix("az.")
    if name in template.declarations:
        yield name
    elif "." in name:
        found.append(f"{template.where(node)}: {name} asks Azure for something")
    elif name not in FUNCTIONS and name not in LAMBDAS and name not in PLACES:
        found.append(f"{template.where(node)}: there is no function {name}")
    yield from _names(arguments, template, around, found)
