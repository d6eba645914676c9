"""The `Table` port on Azure Table Storage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.data.tables import UpdateMode

from jobq.adapters.azure_clients import AzureClients
from jobq.adapters.azure_entities import BATCH_TYPE, batch_of, entity_of, etags_of, failed_part, row_of
from jobq.adapters.azure_errors import Answer, Answered, Call, Refused, fault_of
from jobq.adapters.azure_pipeline import ClientPipeline
from jobq.core.ports import MAX_CHANGES, Change, ChangeKind, Row
from jobq.errors import Conflict, JobqError, ReplyLost

_BATCH_HEADERS = {"Accept": "application/json", "Content-Type": BATCH_TYPE, "DataServiceVersion": "3.0"}
_PAGE = 1000
_MISSING = 404
_PRECONDITION_FAILED = 412
_PRECONDITIONS = frozenset(
    {"EntityAlreadyExists", "ResourceNotFound", "EntityNotFound", "UpdateConditionNotSatisfied", "ConditionNotMet"}
)


class AzureTable:
    """One table of a storage account, made at the first commit where it does not exist."""

    def __init__(self, clients: AzureClients, name: str) -> None:
        self._clients = clients
        self._table = clients.tables.get_table_client(name)
        self._pipeline = ClientPipeline(self._table)
        self._name = name

    async def commit(self, partition: str, changes: Sequence[Change]) -> list[str]:
        _check(changes)
        call = Call("table", f"commit {len(changes)} changes to {self._place(partition)}")
        action = self._action(partition, changes)
        try:
            etags = await self._write(call, action)
        except Refused as refused:
            raise self._conflict(partition, changes, refused) from refused
        if len(etags) != len(changes):
            raise ReplyLost(f"the answer to {call.what} is cut short: it was probably applied")
        return etags

    async def get(self, partition: str, key: str) -> Row | None:
        call = Call("table", f"read row {key} of {self._place(partition)}", is_read=True)
        try:
            return row_of(await self._clients.run(call, lambda: self._table.get_entity(partition, key)))
        except Refused as refused:
            if refused.status != _MISSING:
                raise
            return None

    async def scan(
        self, partition: str, prefix: str, *, after: str = "", limit: int = 1000, columns: Sequence[str] = ()
    ) -> list[Row]:
        call = Call("table", f"read rows of {self._place(partition)}", is_read=True)
        pages = self._table.query_entities(
            _filter(partition, prefix, after),
            select=["RowKey", *columns] if columns else None,
            results_per_page=min(limit, _PAGE),
        ).by_page()

        async def page() -> list[Row]:
            return [row_of(entity) async for entity in await anext(pages)]

        rows: list[Row] = []
        try:
            while len(rows) < limit:
                rows += await self._clients.run(call, page)
        except StopAsyncIteration:
            pass
        except Refused as refused:
            if refused.code != "TableNotFound":
                raise
        return rows[:limit]

    def _action(self, partition: str, changes: Sequence[Change]) -> Callable[[], Awaitable[list[str]]]:
        # Not a deletion: the SDK's `delete_entity` says nothing when there is no such row.
        if len(changes) == 1 and changes[0].kind is not ChangeKind.DELETE:
            entity = entity_of(partition, changes[0])
            return lambda: self._change(changes[0], entity)
        body = batch_of(self._table.url, self._name, partition, changes)
        return lambda: self._transact(body)

    async def _change(self, change: Change, entity: dict[str, Any]) -> list[str]:
        if change.kind is ChangeKind.CREATE:
            done = await self._table.create_entity(entity)
        else:
            mode = UpdateMode.MERGE if change.kind is ChangeKind.MERGE else UpdateMode.REPLACE
            done = await self._table.update_entity(
                entity, mode, etag=change.etag, match_condition=MatchConditions.IfNotModified
            )
        return [str(done["etag"])]

    async def _transact(self, body: bytes) -> list[str]:
        answer = await self._pipeline.post("/$batch", _BATCH_HEADERS, body)
        failed = failed_part(answer)
        if failed:  # inside an answer that says "accepted"
            status, text = failed
            raise Answered(Answer(status, {}, *fault_of(text.decode())))
        return etags_of(answer)

    async def _write(self, call: Call, action: Callable[[], Awaitable[list[str]]]) -> list[str]:
        try:
            return await self._clients.run(call, action)
        except Refused as refused:
            if refused.code != "TableNotFound":
                raise
            await self._make()
            return await self._clients.run(call, action)

    async def _make(self) -> None:
        try:
            await self._clients.run(Call("table", f"make table {self._name}"), self._table.create_table)
        except Refused as refused:
            if refused.code != "TableAlreadyExists":
                raise

    def _conflict(self, partition: str, changes: Sequence[Change], refused: Refused) -> JobqError:
        if refused.status != _PRECONDITION_FAILED and refused.code not in _PRECONDITIONS:
            return refused
        index = min(_index(refused.text), len(changes) - 1)
        change = changes[index]
        what = f"{change.kind.value} of row {change.key} in {self._place(partition)}"
        return Conflict(f"{what} did not hold ({refused.status} {refused.code})", index)

    def _place(self, partition: str) -> str:
        return f"partition {partition} of table {self._name}"


def _check(changes: Sequence[Change]) -> None:
    if len(changes) > MAX_CHANGES:
        raise ValueError(f"a commit takes at most {MAX_CHANGES} changes, not {len(changes)}")
    if not any(change.is_fenced for change in changes):
        raise ValueError("a commit needs a change that fails when it is applied twice: a create, or one with an etag")
    if len({change.key for change in changes}) < len(changes):
        raise ValueError("a commit changes each row once")


def _index(text: str) -> int:
    """Of the change an error is about: Azure puts it before the message, `2:The specified entity ...`."""
    number = text.partition(":")[0]
    return int(number) if number.isdecimal() else 0


def _filter(partition: str, prefix: str, after: str) -> str:
    terms = [f"PartitionKey eq {_literal(partition)}"]
    if prefix:
        terms += [f"RowKey ge {_literal(prefix)}", f"RowKey lt {_literal(_following(prefix))}"]
    if after:
        terms.append(f"RowKey gt {_literal(after)}")
    return " and ".join(terms)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _following(prefix: str) -> str:
    """The least text that is greater than all keys with the prefix; it may not end where keys have no characters."""
    last = ord(prefix[-1]) + 1
    if 0x7F <= last < 0xA0:  # control characters
        last = 0xA0
    if 0xD800 <= last < 0xE000:  # surrogates
        last = 0xE000
    return prefix[:-1] + chr(last)
