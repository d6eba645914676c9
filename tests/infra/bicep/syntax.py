"""Reading a Bicep file: its declarations by name, on the syntax tree of tree-sitter's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_ESCAPE = re.compile(r"\\(u\{([0-9a-fA-F]+)\}|.)")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t"}
_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "user_defined_function": "func",
    "type_declaration": "type",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration of a file: `kind` is the word it begins with."""

    kind: str
    name: str
    node: Node
    decorators: dict[str, list[Node]] = field(default_factory=dict)

    @property
    def line(self) -> int:
        return self.node.start_point[0] + 1

    @property
    def parts(self) -> list[Node]:
        """What stands behind the name: type, value or body."""
        return [child for child in self.node.named_children[1:] if child.type != "comment"]

    @property
    def is_existing(self) -> bool:
        return any(child.type == "existing" for child in self.node.children)

    @property
    def declared(self) -> str:
        """The text of the type, for resources and modules that of the string: `type@version`, the module's path."""
        first = self.parts[0]
        return text_of(first) if first.type == "string" and self.kind in ("resource", "module") else source(first)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed file. `problems`: where it does not parse, and names declared twice."""

    path: Path
    root: Node
    declarations: dict[str, Declaration]
    outputs: dict[str, Declaration]
    problems: list[str]

    def of_kind(self, kind: str) -> list[Declaration]:
        return [found for found in self.declarations.values() if found.kind == kind]

    def where(self, node: Node) -> str:
        return f"{self.path.name}:{node.start_point[0] + 1}"


def parse(path: Path) -> Template:
    """The file's declarations. A file that does not parse is answered with what is left of it, and problems."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".bicepparam":  # the grammar knows no `using`, and no parameters without a type
        text = re.sub(r"(?m)^param\b", "var", re.sub(r"(?m)^using\b.*$", "", text))
    root = _tree(text)
    template = Template(path, root, {}, {}, [])
    template.problems.extend(
        f"{template.where(node)}: does not parse: {source(node).strip()[:60]!r}" for node in _broken(root)
    )
    for found in _declarations(root):
        names = template.outputs if found.kind == "output" else template.declarations
        if found.name in names:
            template.problems.append(f"{template.where(found.node)}: {found.name} is declared twice")
        names[found.name] = found
    return template


@lru_cache(maxsize=64)
def _tree(text: str) -> Node:
    return _PARSER.parse(text.encode()).root_node


def source(node: Node) -> str:
    return (node.text or b"").decode()


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def string_parts(node: Node) -> list[str | Node]:
    """A string as its texts and the expressions between them."""
    raw, begin = (node.text or b""), node.start_byte
    quotes = 3 if raw.startswith(b"'''") else 1
    parts: list[str | Node] = []
    at = quotes
    for child in node.named_children:
        if child.type == "interpolation":
            parts += [_plain(raw[at : child.start_byte - begin], quotes), child.named_children[0]]
            at = child.end_byte - begin
    parts.append(_plain(raw[at : len(raw) - quotes], quotes))
    if quotes == 3 and isinstance(parts[0], str):
        parts[0] = re.sub(r"\A\r?\n", "", parts[0])
    return [part for part in parts if part != ""]


def text_of(node: Node) -> str:
    """The text of a string without expressions; those stay as written."""
    return "".join(part if isinstance(part, str) else f"${{{source(part)}}}" for part in string_parts(node))


def entries(node: Node) -> Iterator[tuple[Node, Node]]:
    """The properties of an object: key, value."""
    for child in node.named_children:
        if child.type == "object_property" and child.named_children[0].type != "resource_declaration":
            key, value = [part for part in child.named_children if part.type != "comment"]
            yield key, value


def nested(node: Node) -> Iterator[Declaration]:
    """The resources declared inside the body of one."""
    for child in node.named_children:
        if child.type == "object_property" and child.named_children[0].type == "resource_declaration":
            inner = child.named_children[0]
            yield Declaration("resource", source(inner.named_children[0]), inner)


def elements(array: Node) -> list[Node]:
    """The values of an array. The grammar breaks `[f(x).id]` in two: what touches is read again as one value."""
    groups: list[list[Node]] = []
    for child in expressions(array):
        if groups and groups[-1][-1].end_byte == child.start_byte:
            groups[-1].append(child)
        else:
            groups.append([child])
    return [group[0] if len(group) == 1 else _again(group) for group in groups]


def expressions(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _again(group: list[Node]) -> Node:
    text = b"".join(node.text or b"" for node in group)
    root = _PARSER.parse(b"\n" * group[0].start_point[0] + b"var whole = " + text).root_node
    return root.named_children[0].named_children[1]


def key_text(node: Node) -> str:
    return text_of(node) if node.type == "string" else source(node)


def body_of(node: Node) -> Node:
    """The object of a resource or module, inside its condition or loop."""
    while node.type in ("for_statement", "if_statement"):
        node = node.named_children[-1]
    return node


def _broken(node: Node) -> Iterator[Node]:
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _broken(child)


def _declarations(root: Node) -> Iterator[Declaration]:
    decorators: dict[str, list[Node]] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators |= dict(map(_decorator, node.named_children))
        elif node.type in _KINDS:
            yield Declaration(_KINDS[node.type], source(node.named_children[0]), node, decorators)
            decorators = {}


def _decorator(node: Node) -> tuple[str, list[Node]]:
    call = node.named_children[0]
    return source(call.named_children[0]).removeprefix("sys."), call.named_children[1].named_children


def _plain(raw: bytes, quotes: int) -> str:
    text = raw.decode()
    if quotes == 3:
        return text
    return _ESCAPE.sub(lambda found: chr(int(found[2], 16)) if found[2] else _SIMPLE.get(found[1], found[1]), text)
