"""Rows and commits as Azure Tables writes them: the SDK's entities, and the body of an entity-group transaction.

Source: Table service REST API, "Payload format for Table service operations", "Performing entity group transactions".
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from azure.data.tables import EdmType, EntityProperty, TableEntity

from jobq.core.ports import Change, ChangeKind, Row, Value, Values

_BOUNDARY = "jobq"  # may be constant: a boundary is a line of its own, and no line of a body starts with two dashes
BATCH_TYPE = f"multipart/mixed; boundary=batch_{_BOUNDARY}"
_BATCH_START = f"--batch_{_BOUNDARY}\r\nContent-Type: multipart/mixed; boundary=changeset_{_BOUNDARY}\r\n\r\n"
_BATCH_END = f"--changeset_{_BOUNDARY}--\r\n--batch_{_BOUNDARY}--\r\n"
_PART_START = f"--changeset_{_BOUNDARY}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
_METHODS = {
    ChangeKind.CREATE: "POST",
    ChangeKind.MERGE: "PATCH",
    ChangeKind.REPLACE: "PUT",
    ChangeKind.DELETE: "DELETE",
}
_JSON = "application/json"
_ACCEPT = "application/json;odata=minimalmetadata"
# Status, headers, and the first line of the body: JSON, so a body has no other.
_PART = re.compile(rb"\r?\n\r?\nHTTP/1\.1 (\d{3})[^\n]*\n(.*?)\r?\n\r?\n([^\r\n]*)", re.DOTALL)
_ETAG = re.compile(rb"^etag: *([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_INT64 = 2**63
_KEYS = frozenset({"PartitionKey", "RowKey"})
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode

Request = tuple[str, str, dict[str, str], str]
"""Method, path below the endpoint, headers, body ("" for none)."""


def request_of(table: str, partition: str, change: Change) -> Request:
    """The request that makes one change by itself."""
    headers = {"Accept": _ACCEPT, "Content-Type": _JSON, "Prefer": "return-no-content", "DataServiceVersion": "3.0"}
    entity = {"PartitionKey": partition, "RowKey": change.key}
    if change.kind is ChangeKind.CREATE:
        return "POST", f"/{table}", headers, _encode(_with_values(entity, change.values))
    path = f"/{table}(PartitionKey='{_in_path(partition)}',RowKey='{_in_path(change.key)}')"
    headers["If-Match"] = change.etag or "*"
    if change.kind is ChangeKind.DELETE:
        del headers["Content-Type"]
        return "DELETE", path, headers, ""
    return _METHODS[change.kind], path, headers, _encode(_with_values(entity, change.values))


def batch_of(endpoint: str, table: str, partition: str, changes: Sequence[Change]) -> bytes:
    """The body of the transaction that makes all of them, for the content type BATCH_TYPE."""
    parts = [_BATCH_START]
    for change in changes:
        method, path, headers, body = request_of(table, partition, change)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        parts.append(f"{_PART_START}{method} {endpoint}{path} HTTP/1.1\r\n{lines}\r\n{body}\r\n")
    parts.append(_BATCH_END)
    return "".join(parts).encode()


def etags_of(answer: bytes) -> list[str]:
    """The etag of each change of a transaction that was applied ("" where there is none), in their order."""
    found = [_ETAG.search(part[2]) for part in _PART.finditer(answer)]
    return [etag[1].decode() if etag else "" for etag in found]


def failed_part(answer: bytes) -> tuple[int, bytes] | None:
    """Status and body of the change that failed a transaction (it is answered 202 all the same), or None."""
    for part in _PART.finditer(answer):
        if int(part[1]) >= 400:
            return int(part[1]), part[3]
    return None


def entity_of(partition: str, change: Change) -> dict[str, Any]:
    """The SDK's entity for one change by itself. Integers are of 64 bits, as in a transaction."""
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": change.key}
    for name, value in change.values.items():
        kind = type(value)
        if kind is int and not -_INT64 <= value < _INT64:  # type: ignore[operator]  # `kind` says that it is a number
            raise ValueError(f"column {name} holds an integer of more than 64 bits")
        entity[name] = EntityProperty(value, EdmType.INT64) if kind is int else value
    return entity


def row_of(entity: TableEntity) -> Row:
    values = {name: _plain(value) for name, value in entity.items() if name not in _KEYS and value is not None}
    return Row(str(entity["RowKey"]), str(entity.metadata["etag"]), values)


def _with_values(entity: dict[str, Any], values: Values) -> dict[str, Any]:
    for name, value in values.items():
        kind = type(value)
        if kind is str or kind is bool:
            entity[name] = value
        else:
            entity[name], entity[f"{name}@odata.type"] = _typed(value)
    return entity


def _typed(value: Value) -> tuple[str | float, str]:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode(), "Edm.Binary"
    if isinstance(value, float):
        return (value if math.isfinite(value) else _NOT_FINITE[str(value)]), "Edm.Double"
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return str(int(value)), "Edm.Int64"
    if isinstance(value, str):
        return str(value), "Edm.String"
    raise ValueError(
        f"a column holds text, bytes, a bool, a float or an integer of 64 bits, not {type(value).__name__}"
    )


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _plain(value: Any) -> Value:
    """A value as the SDK gives it. Our integers come with a type, so a bare one is a float without a fraction."""
    if isinstance(value, EntityProperty):
        value = value.value
        return value if isinstance(value, Value) else str(value)
    if type(value) is int:
        return float(value)
    return value if isinstance(value, Value) else str(value)


def _in_path(key: str) -> str:
    return quote(key.replace("'", "''"), safe="")
