"""What every Table promises."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from jobq.core.ports import MAX_CHANGES, Change, Row, Table, Value, create, delete, merge, replace
from jobq.errors import Conflict

LONGEST_TEXT = "x" * 30_000
VALUES: list[Value] = [
    "",
    "text",
    " spaces around, and a newline\n",
    "é 漢字 🚀 \u200f",
    'quotes " \' \\ and {"bytes": 1}',
    ':{"bytes":"eA=="}',
    "<a href='x'>&amp;</a>",
    "2026-01-02T03:04:05Z",
    "true",
    "17",
    LONGEST_TEXT,
    0,
    1,
    -1,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    0.0,
    1.0,
    -2.5,
    0.1,
    1e300,
    True,
    False,
    b"",
    b"\x00\xff bytes",
    bytes(range(256)) * 100,
]


async def _put(table: Table, partition: str, *keys: str) -> None:
    await table.commit(partition, [create(key, {"n": 1}) for key in keys])


def _keys(rows: list[Row]) -> list[str]:
    return [row.key for row in rows]


async def test_missing_row_is_none(table: Table, name: str) -> None:
    assert await table.get(name, "job~1") is None


async def test_created_row_is_read_with_the_etag_that_commit_returned(table: Table, name: str) -> None:
    [etag] = await table.commit(name, [create("job~1", {"state": "queued"})])

    assert etag
    assert await table.get(name, "job~1") == Row("job~1", etag, {"state": "queued"})


async def test_row_without_values_is_a_row(table: Table, name: str) -> None:
    [etag] = await table.commit(name, [create("tag~a~1", {})])

    assert await table.get(name, "tag~a~1") == Row("tag~a~1", etag, {})
    assert await table.scan(name, "tag~") == [Row("tag~a~1", etag, {})]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:24])
async def test_value_comes_back_equal_and_of_the_same_type(table: Table, name: str, value: Value) -> None:
    await table.commit(name, [create("row", {"value": value})])

    row = await table.get(name, "row")
    [scanned] = await table.scan(name, "row")

    assert row is not None
    assert row.values == {"value": value}
    assert type(row.values["value"]) is type(value)
    assert type(scanned.values["value"]) is type(value)


async def test_many_columns_of_all_types_live_in_one_row(table: Table, name: str) -> None:
    values = {f"column{i}": value for i, value in enumerate(VALUES) if value != LONGEST_TEXT}
    await table.commit(name, [create("row", values)])

    row = await table.get(name, "row")

    assert row is not None
    assert row.values == values


async def test_values_come_back_equal_from_a_transaction_too(table: Table, name: str) -> None:
    values = {f"column{i}": value for i, value in enumerate(VALUES) if value != LONGEST_TEXT}
    await table.commit(name, [create("row", values), create("other", {})])

    row = await table.get(name, "row")

    assert row is not None
    assert row.values == values
    assert [type(row.values[column]) for column in values] == [type(value) for value in values.values()]


async def test_merge_sets_some_columns_and_keeps_the_others(table: Table, name: str) -> None:
    [first] = await table.commit(name, [create("row", {"kept": b"\x01", "set": 1})])

    [second] = await table.commit(name, [merge("row", {"set": "two", "new": True}, first)])

    assert second != first
    assert await table.get(name, "row") == Row("row", second, {"kept": b"\x01", "set": "two", "new": True})


async def test_replace_sets_all_columns(table: Table, name: str) -> None:
    [first] = await table.commit(name, [create("row", {"gone": 1, "set": 1})])

    [second] = await table.commit(name, [replace("row", {"set": 2.5}, first)])

    assert second != first
    assert await table.get(name, "row") == Row("row", second, {"set": 2.5})


async def test_delete_removes_the_row_and_answers_no_etag(table: Table, name: str) -> None:
    [etag] = await table.commit(name, [create("row", {})])

    assert await table.commit(name, [delete("row", etag)]) == [""]
    assert await table.get(name, "row") is None
    assert await table.scan(name, "") == []


async def test_commit_of_all_kinds_answers_in_the_order_of_the_changes(table: Table, name: str) -> None:
    [a, b, c] = await table.commit(name, [create("a", {"n": 1}), create("b", {"n": 1}), create("c", {"n": 1})])

    etags = await table.commit(
        name, [delete("c", c), create("d", {"n": 2}), merge("a", {"m": 2}, a), replace("b", {"m": 2}, b)]
    )

    rows = {row.key: row for row in await table.scan(name, "")}
    assert etags == ["", rows["d"].etag, rows["a"].etag, rows["b"].etag]
    assert {key: row.values for key, row in rows.items()} == {"a": {"n": 1, "m": 2}, "b": {"m": 2}, "d": {"n": 2}}


async def test_unfenced_changes_may_accompany_a_fenced_one(table: Table, name: str) -> None:
    await _put(table, name, "a", "b", "c")

    await table.commit(name, [create("d", {}), merge("a", {"m": 1}), replace("b", {"m": 1}), delete("c")])

    assert {row.key: row.values for row in await table.scan(name, "")} == {
        "a": {"n": 1, "m": 1},
        "b": {"m": 1},
        "d": {},
    }


@pytest.mark.parametrize(
    "change", [merge("a", {"n": 2}), replace("a", {"n": 2}), delete("a")], ids=lambda c: c.kind.value
)
async def test_commit_in_which_nothing_is_fenced_is_refused(table: Table, name: str, change: Change) -> None:
    await _put(table, name, "a")

    with pytest.raises(ValueError):
        await table.commit(name, [change])

    assert [row.values for row in await table.scan(name, "")] == [{"n": 1}]


async def test_empty_commit_is_refused(table: Table, name: str) -> None:
    with pytest.raises(ValueError):
        await table.commit(name, [])


async def test_two_changes_of_one_row_are_refused(table: Table, name: str) -> None:
    with pytest.raises(ValueError):
        await table.commit(name, [create("a", {}), merge("a", {"n": 1})])

    assert await table.get(name, "a") is None


async def test_a_hundred_changes_are_applied_and_one_more_is_refused(table: Table, name: str) -> None:
    etags = await table.commit(name, [create(f"a{i:03}", {"n": i}) for i in range(MAX_CHANGES)])
    with pytest.raises(ValueError):
        await table.commit(name, [create(f"b{i:03}", {}) for i in range(MAX_CHANGES + 1)])

    rows = await table.scan(name, "")
    assert [(row.key, row.etag, row.values["n"]) for row in rows] == [
        (f"a{i:03}", etags[i], i) for i in range(MAX_CHANGES)
    ]


REFUSED = {
    "create of what exists": create("there", {"n": 2}),
    "merge of what is gone": merge("missing", {"n": 2}),
    "merge with another etag": merge("there", {"n": 2}, "OLD"),
    "replace of what is gone": replace("missing", {"n": 2}),
    "replace with another etag": replace("there", {"n": 2}, "OLD"),
    "delete of what is gone": delete("missing"),
    "delete with another etag": delete("there", "OLD"),
    "merge with the etag of a deleted row": merge("missing", {"n": 2}, "OLD"),
}


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("case", REFUSED)
async def test_refused_change_is_named_and_nothing_is_applied(table: Table, name: str, case: str, index: int) -> None:
    [old, _] = await table.commit(name, [create("there", {"n": 0}), create("other", {"n": 0})])
    [now] = await table.commit(name, [merge("there", {"n": 1}, old)])
    refused = dataclasses.replace(REFUSED[case], etag=REFUSED[case].etag.replace("OLD", old))
    changes = [create("new", {"n": 2}), merge("other", {"n": 2})]

    with pytest.raises(Conflict) as conflict:
        await table.commit(name, [*changes[:index], refused, *changes[index:]])

    assert conflict.value.index == index
    assert {row.key: row.values for row in await table.scan(name, "")} == {"there": {"n": 1}, "other": {"n": 0}}
    assert (await table.get(name, "there")) == Row("there", now, {"n": 1})


async def test_conflict_names_one_of_the_changes_that_were_refused(table: Table, name: str) -> None:
    await _put(table, name, "b", "d")

    with pytest.raises(Conflict) as conflict:
        await table.commit(name, [create(key, {}) for key in "abcd"])

    assert conflict.value.index in (1, 3)
    assert _keys(await table.scan(name, "")) == ["b", "d"]


async def test_etag_of_a_row_does_not_come_back_when_it_is_created_again(table: Table, name: str) -> None:
    [first] = await table.commit(name, [create("row", {"n": 1})])
    await table.commit(name, [delete("row", first)])
    [second] = await table.commit(name, [create("row", {"n": 1})])

    assert second != first
    with pytest.raises(Conflict):
        await table.commit(name, [merge("row", {"n": 2}, first)])


async def test_writing_the_same_values_again_gives_a_new_etag(table: Table, name: str) -> None:
    [first] = await table.commit(name, [create("row", {"n": 1})])
    [second] = await table.commit(name, [merge("row", {"n": 1}, first)])

    with pytest.raises(Conflict):
        await table.commit(name, [merge("row", {"n": 1}, first)])
    assert second != first


async def test_etag_from_a_scan_is_the_one_that_a_commit_takes(table: Table, name: str) -> None:
    await _put(table, name, "row")
    [row] = await table.scan(name, "row")

    await table.commit(name, [merge("row", {"n": 2}, row.etag)])

    assert [row.values for row in await table.scan(name, "")] == [{"n": 2}]


async def test_partitions_do_not_see_each_other(table: Table, name: str) -> None:
    await table.commit(f"{name}~0", [create("row", {"n": 0})])
    await table.commit(f"{name}~1", [create("row", {"n": 1})])

    assert [row.values for row in await table.scan(f"{name}~0", "")] == [{"n": 0}]
    assert [row.values for row in await table.scan(f"{name}~1", "")] == [{"n": 1}]
    assert await table.scan(name, "") == []


async def test_of_two_commits_of_one_row_exactly_one_wins(table: Table, name: str) -> None:
    [etag] = await table.commit(name, [create("row", {"winner": -1})])

    outcomes = await asyncio.gather(
        *(table.commit(name, [merge("row", {"winner": i}, etag), create(f"by{i}", {})]) for i in range(5)),
        return_exceptions=True,
    )

    winners = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, list)]
    assert len(winners) == 1
    assert [outcome.index for outcome in outcomes if isinstance(outcome, Conflict)] == [0] * 4
    row = await table.get(name, "row")
    assert row is not None
    assert row.values == {"winner": winners[0]}
    assert _keys(await table.scan(name, "by")) == [f"by{winners[0]}"]


async def test_of_two_creations_of_one_row_exactly_one_wins(table: Table, name: str) -> None:
    outcomes = await asyncio.gather(
        *(table.commit(name, [create("row", {"by": i})]) for i in range(5)), return_exceptions=True
    )

    assert sum(isinstance(outcome, list) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 4
