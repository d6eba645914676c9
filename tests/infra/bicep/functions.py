"""Bicep's functions that need nothing of Azure, as they answer at deployment; ids and hashes are stand-ins."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from itertools import chain
from typing import Any

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class Later(str):
    """A text that only a deployment knows: a principal's id, an endpoint. It says of what it is."""

    __slots__ = ()


def unique_string(*parts: str) -> str:
    """13 characters that depend on the parts alone, as `uniqueString` gives, though not the same ones."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return "".join(_LETTERS[byte % 32] for byte in digest[:13])


def guid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\0".join(parts)))


def union(*values: Any) -> Any:
    if isinstance(values[0], dict):
        merged: dict[str, Any] = {}
        for value in values:
            for key, item in value.items():
                both = isinstance(item, dict) and isinstance(merged.get(key), dict)
                merged[key] = union(merged[key], item) if both else item
        return merged
    found: list[Any] = []
    for item in (item for value in values for item in value):
        if item not in found:
            found.append(item)
    return found


def _format(template: str, *values: Any) -> str:
    return template.format(*map(as_text, values))


def as_text(value: Any) -> str:
    """A value inside a string."""
    if isinstance(value, str):
        return str(value)
    return json.dumps(value) if not isinstance(value, bool) else str(value)


def _contains(whole: Any, part: Any) -> bool:
    return part in whole


def _empty(value: Any) -> bool:
    return value is None or (not isinstance(value, Later) and len(value) == 0)


def _join(values: list[Any], between: str) -> str:
    return between.join(map(as_text, values))


def _split(text: str, between: str | list[str]) -> list[str]:
    for other in between[1:] if isinstance(between, list) else ():
        text = text.replace(other, between[0])
    return text.split(between if isinstance(between, str) else between[0])


def _substring(text: str, start: int, length: int | None = None) -> str:
    return text[start:] if length is None else text[start : start + length]


def _take(value: Any, count: int) -> Any:
    return value[: max(count, 0)]


def _items(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def _number(one: Any, *more: Any) -> list[Any]:
    return one if isinstance(one, list) else [one, *more]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "any": lambda value: value,
    "array": lambda value: value if isinstance(value, list) else [value],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64ToString": lambda text: base64.b64decode(text).decode(),
    "bool": lambda value: str(value).lower() in ("true", "1"),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "concat": lambda *values: [*chain(*values)] if isinstance(values[0], list) else "".join(map(as_text, values)),
    "contains": _contains,
    "createArray": lambda *values: list(values),
    "empty": _empty,
    "endsWith": lambda text, end: text.lower().endswith(end.lower()),
    "first": lambda value: value[0] if value else None,
    "flatten": lambda lists: [item for part in lists for item in part],
    "format": _format,
    "guid": guid,
    "indexOf": lambda whole, part: whole.lower().find(part.lower()) if isinstance(whole, str) else whole.index(part),
    "int": int,
    "intersection": lambda one, *more: [item for item in one if all(item in other for other in more)],
    "items": _items,
    "join": _join,
    "json": json.loads,
    "last": lambda value: value[-1] if value else None,
    "length": len,
    "max": lambda *values: max(_number(*values)),
    "min": lambda *values: min(_number(*values)),
    "objectKeys": sorted,
    "padLeft": lambda value, width, fill=" ": as_text(value).rjust(width, fill),
    "range": lambda start, count: list(range(start, start + count)),
    "replace": lambda text, old, new: text.replace(old, new),
    "skip": lambda value, count: value[max(count, 0) :],
    "split": _split,
    "startsWith": lambda text, start: text.lower().startswith(start.lower()),
    "string": as_text,
    "substring": _substring,
    "take": _take,
    "toLower": lambda text: text.lower(),
    "toUpper": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "union": union,
    "uniqueString": unique_string,
    "uri": lambda base, rest: base.rstrip("/") + "/" + rest.lstrip("/"),
}
