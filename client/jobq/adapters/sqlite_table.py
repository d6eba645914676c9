"""The Table port on SQLite."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Sequence

from jobq.adapters.sqlite_store import SqliteStore, next_version
from jobq.core.ports import MAX_CHANGES, Change, ChangeKind, Row, Value, Values
from jobq.errors import Conflict


class SqliteTable:
    """Rows as JSON texts. An etag is the number of the commit that wrote the row: it never comes again."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        _check(changes)
        return await self._store.transact(_commit, partition, changes)

    async def get(self, partition: str, key: str) -> Row | None:
        return await self._store.run(_get, partition, key)

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        return await self._store.run(_scan, partition, prefix, after, limit, frozenset(columns))


def _check(changes: Sequence[Change]) -> None:
    if len(changes) > MAX_CHANGES:
        raise ValueError(f"{len(changes)} changes in one commit; at most {MAX_CHANGES}")
    if len({change.key for change in changes}) < len(changes):
        raise ValueError("two changes of one row in one commit")
    if not any(change.is_fenced for change in changes):
        raise ValueError("no change in this commit is fenced: none creates a row or names an etag")


def _commit(db: sqlite3.Connection, partition: str, changes: Sequence[Change]) -> list[str]:
    version = next_version(db)
    for index, change in enumerate(changes):
        if not _APPLY[change.kind](db, partition, change, version):
            raise Conflict(f"{change.kind.value} of row {change.key}: {_PRECONDITION[change.kind]}", index)
    return ["" if change.kind is ChangeKind.DELETE else str(version) for change in changes]


def _create(db: sqlite3.Connection, partition: str, change: Change, version: int) -> bool:
    row = (partition, change.key, version, _encode(change.values))
    return db.execute("INSERT OR IGNORE INTO entity VALUES (?, ?, ?, ?)", row).rowcount > 0


def _merge(db: sqlite3.Connection, partition: str, change: Change, version: int) -> bool:
    found = _get(db, partition, change.key)
    if found is None or (change.etag and found.etag != change.etag):
        return False
    return _store(db, partition, change.key, {**found.values, **change.values}, version)


def _replace(db: sqlite3.Connection, partition: str, change: Change, version: int) -> bool:
    return _holds(db, partition, change) and _store(db, partition, change.key, change.values, version)


def _delete(db: sqlite3.Connection, partition: str, change: Change, version: int) -> bool:
    if not _holds(db, partition, change):
        return False
    return db.execute("DELETE FROM entity WHERE partition = ? AND key = ?", (partition, change.key)).rowcount > 0


def _holds(db: sqlite3.Connection, partition: str, change: Change) -> bool:
    query = "SELECT version FROM entity WHERE partition = ? AND key = ?"
    row = db.execute(query, (partition, change.key)).fetchone()
    return row is not None and (not change.etag or change.etag == str(row[0]))


def _store(db: sqlite3.Connection, partition: str, key: str, values: Values, version: int) -> bool:
    update = "UPDATE entity SET version = ?, data = ? WHERE partition = ? AND key = ?"
    return db.execute(update, (version, _encode(values), partition, key)).rowcount > 0


_APPLY = {
    ChangeKind.CREATE: _create,
    ChangeKind.MERGE: _merge,
    ChangeKind.REPLACE: _replace,
    ChangeKind.DELETE: _delete,
}
_PRECONDITION = dict.fromkeys(ChangeKind, "it is gone or has another etag") | {ChangeKind.CREATE: "it exists"}


def _get(db: sqlite3.Connection, partition: str, key: str) -> Row | None:
    query = "SELECT version, data FROM entity WHERE partition = ? AND key = ?"
    row = db.execute(query, (partition, key)).fetchone()
    return Row(key, str(row[0]), _decode(row[1])) if row else None


def _scan(
    db: sqlite3.Connection, partition: str, prefix: str, after: str, limit: int, columns: frozenset[str]
) -> list[Row]:
    query = "SELECT key, version, data FROM entity WHERE partition = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?"
    first = max(prefix, after + "\0")  # nothing lies between `after` and `after + "\0"`
    rows = db.execute(query, (partition, first, _end(prefix), limit))
    return [Row(key, str(version), _only(columns, _decode(data))) for key, version, data in rows]


def _end(prefix: str) -> str | bytes:
    """The least key above all that start with `prefix`. SQLite compares UTF-8 bytes, hence code points."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return b""  # SQLite: any BLOB is greater than any TEXT
    following = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are not characters


def _only(columns: frozenset[str], values: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name in columns} if columns else values


def _tagged(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    raise TypeError(f"a column cannot hold a {type(value).__name__}")


_ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_tagged)


def _encode(values: Values) -> str:
    return _ENCODER.encode(dict(values))


def _decode(text: str) -> dict[str, Value]:
    values: dict[str, Value | dict[str, str]] = json.loads(text)
    if ':{"' in text:  # only bytes are objects, and inside a string the quote would be escaped
        return {k: base64.b64decode(v["bytes"]) if isinstance(v, dict) else v for k, v in values.items()}
    return values  # type: ignore[return-value]  # no value is a dict
