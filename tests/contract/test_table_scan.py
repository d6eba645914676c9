"""What every Table promises of `scan`."""

from __future__ import annotations

import pytest

from jobq.core.ports import MAX_CHANGES, Row, Table, create


async def _put(table: Table, partition: str, *keys: str) -> None:
    for start in range(0, len(keys), MAX_CHANGES):
        await table.commit(partition, [create(key, {"n": 1}) for key in keys[start : start + MAX_CHANGES]])


def _keys(rows: list[Row]) -> list[str]:
    return [row.key for row in rows]


async def test_scan_orders_keys_by_code_point(table: Table, name: str) -> None:
    keys = ["A", "B", "Z", "_", "a", "a!", "a-", "a0", "a9", "aa", "a~", "a~~", "b", "~", "é", "漢"]
    await _put(table, name, *reversed(keys))

    assert _keys(await table.scan(name, "")) == sorted(keys)


@pytest.mark.parametrize("prefix", ["a_", "a%", "a*", "a~", "A", "a'", 'a"', "a[", "é"])
async def test_prefix_means_exactly_these_characters(table: Table, name: str, prefix: str) -> None:
    keys = [f"{start}1" for start in ["a_", "a%", "a*", "a~", "A", "a'", 'a"', "a[", "é", "a", "ab", "a_b", "è", "ê"]]
    await _put(table, name, *keys)

    assert _keys(await table.scan(name, prefix)) == sorted(key for key in keys if key.startswith(prefix))


async def test_prefix_itself_is_a_key_that_starts_with_it(table: Table, name: str) -> None:
    await _put(table, name, "a", "a~", "a~1", "b")

    assert _keys(await table.scan(name, "a~")) == ["a~", "a~1"]


async def test_scan_begins_after_the_named_key(table: Table, name: str) -> None:
    await _put(table, name, "a1", "a2", "a2x", "a3", "b1")

    assert _keys(await table.scan(name, "a", after="a2")) == ["a2x", "a3"]
    assert _keys(await table.scan(name, "a", after="a25")) == ["a2x", "a3"]
    assert _keys(await table.scan(name, "a", after="A")) == ["a1", "a2", "a2x", "a3"]
    assert _keys(await table.scan(name, "a", after="a3")) == []
    assert _keys(await table.scan(name, "a", after="b")) == []
    assert _keys(await table.scan(name, "", after="a3")) == ["b1"]


async def test_scan_answers_at_most_limit_rows(table: Table, name: str) -> None:
    await _put(table, name, "a1", "a2", "a3", "b1")

    assert _keys(await table.scan(name, "a", limit=2)) == ["a1", "a2"]
    assert _keys(await table.scan(name, "a", limit=3)) == ["a1", "a2", "a3"]
    assert _keys(await table.scan(name, "a", limit=4)) == ["a1", "a2", "a3"]


async def test_scan_returns_only_the_named_columns(table: Table, name: str) -> None:
    [etag, other] = await table.commit(name, [create("a", {"x": 1, "y": b"2", "z": "3"}), create("b", {"z": True})])

    rows = await table.scan(name, "", columns=["x", "y"])

    assert rows == [Row("a", etag, {"x": 1, "y": b"2"}), Row("b", other, {})]


async def test_thousands_of_rows_are_scanned_whole_and_page_by_page(table: Table, name: str) -> None:
    keys = [f"job~{i:05}" for i in range(2_500)]
    await _put(table, name, *keys, "zzz")

    whole = await table.scan(name, "job~", limit=5_000)
    pages = [await table.scan(name, "job~")]
    while len(pages[-1]) == 1_000:
        pages.append(await table.scan(name, "job~", after=pages[-1][-1].key))
    middle = await table.scan(name, "job~", after="job~00099", limit=1_500)

    assert _keys(whole) == keys
    assert [len(page) for page in pages] == [1_000, 1_000, 500]
    assert _keys([row for page in pages for row in page]) == keys
    assert _keys(middle) == keys[100:1_600]
