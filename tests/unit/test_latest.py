"""What the sweeper follows: which batches, which moments, and where a summary begins to look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jobq.core.latest import MOST, SOON_ROWS, Followed, Latest, latest_of, look, values_of_latest
from jobq.core.ports import Row
from jobq.core.rows import count_key, named_since, tag_label, values_of_counts
from jobq.model.counts import Counts, Ever
from jobq.model.durations import to_iso
from jobq.model.pace import Sample

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEXT_COLUMN = 32 * 1024
DONE, HALF = Counts(total=2, succeeded=2), Counts(total=2, succeeded=1)


def counter(label: str, counts: Counts = DONE, *, name: str = "", since: int = 0, writer: str = "w") -> Row:
    """`since` in minutes."""
    values = values_of_counts(counts, START) | named_since(name or label[1:], to_iso(START + since * MINUTE))
    return Row(count_key(label, writer), "e", values)


def shard(*rows: Row) -> list[Row]:
    return sorted(rows, key=lambda row: row.key)


def names(latest: Latest) -> list[str]:
    return [own.label[1:] for own in latest.batches]


def test_batches_with_jobs_left_come_first_and_the_newest_of_each() -> None:
    rows = [counter("bold", HALF), counter("bnew", since=9), counter("bmid", HALF, since=5), counter("bpast", since=3)]

    latest = look([shard(*rows[:2]), shard(*rows[2:])], Latest(), START)

    assert names(latest) == ["mid", "old", "new", "past"]
    assert not latest.has_more


def test_batch_of_several_shards_and_writers_is_one_and_is_as_old_as_its_first_row() -> None:
    first = counter("bx", Counts(total=3), since=4)
    then = counter("bx", Counts(succeeded=2, ever=Ever(preempted=1)), since=7, writer="v")

    latest = look([[first], [then]], Latest(), START)

    [own] = latest.batches
    assert own == Followed("bx", to_iso(START + 4 * MINUTE), Counts(3, 2, ever=Ever(preempted=1)), (2,))


def test_batch_whose_jobs_are_all_gone_is_not_followed() -> None:
    assert names(look([[counter("bx", Counts(ever=Ever(preempted=3)))]], Latest(), START)) == []


def test_at_most_fifty_batches_are_followed() -> None:
    latest = look([shard(*(counter(f"b{n:03}", since=n) for n in range(60)))], Latest(), START)

    assert names(latest) == [f"{n:03}" for n in range(59, 9, -1)]
    assert latest.has_more


def test_moments_are_kept_ever_fewer_the_longer_ago() -> None:
    latest = Latest()
    for minute in range(300):
        rows = [counter("r", Counts(total=999, succeeded=minute)), counter("bx", Counts(total=999, succeeded=minute))]
        latest = look([shard(*rows)], latest, START + minute * MINUTE)

    ages = [(START + 299 * MINUTE - at) // MINUTE for at in latest.times]
    assert ages == [74, 59, 44, 29, 14, 11, 8, 5, 4, 3, 2, 1, 0]
    moments = [0, *(299 - age for age in ages)]
    assert latest.samples_of("bx") == [Sample(START + minute * MINUTE, minute) for minute in moments]
    assert latest.samples_of("r") == latest.samples_of("bx")


def test_batch_that_came_later_has_fewer_moments_and_one_that_nobody_follows_none() -> None:
    first = look([[counter("bx", HALF)]], Latest(), START)
    second = look([shard(counter("bx", HALF), counter("by", HALF, since=1))], first, START + MINUTE)

    assert [len(second.samples_of(label)) for label in ("bx", "by", "bz")] == [2, 1, 0]


def test_failures_are_followed_most_jobs_first() -> None:
    rows = [counter(f"e{n:012}", Counts(total=n % 5, failed=n % 5), name=f"exit: {n}") for n in range(100)]

    failures = look([shard(*rows)], Latest(), START).failures

    assert [jobs for _, _, jobs in failures] == [4] * 20 + [3] * 20 + [2] * 10
    assert failures[0] == ("000000000004", "exit: 4", 4)


def test_summary_begins_with_the_first_batch_while_a_page_holds_them_all() -> None:
    rows = [counter(f"b{n:04}", HALF) for n in range(SOON_ROWS)]

    assert look([shard(*rows)], Latest(), START).begin == ""


def test_summary_begins_where_it_holds_most_batches_with_jobs_left() -> None:
    done = [counter(f"b{n:04}") for n in range(3 * SOON_ROWS)]
    few, many = [counter("b0001x", HALF)], [counter(f"b1000x{n}", HALF) for n in range(3)]
    last = [counter("b2399x", HALF)]

    for left, begin in ((few, "b0001x"), (few + many, "b1000x0"), (few + many + last, "b1000x0"), (last, "b2399x")):
        assert look([shard(*done, *left), []], Latest(), START).begin == begin
    assert look([shard(*done)], Latest(), START).begin == "b2399"


def test_what_is_followed_is_read_back_and_fits_in_columns_at_its_largest() -> None:
    large, name = Counts(*[10**9] * 4, ever=Ever(preempted=10**9)), "x" * 60
    rows = [counter(f"b{n:03}{name}", large, since=n) for n in range(MOST + 1)]
    rows += [counter(f"e{n:012}", large, name="\U0001f525" * 200) for n in range(MOST)]
    rows += [counter(tag_label(tag), large, name=tag) for tag in (f"{n:02}" + "\U0001f525" * 49 for n in range(MOST))]
    latest = Latest()
    for minute in range(200):
        latest = look([shard(counter("r", large), *rows)], latest, START + minute * MINUTE)

    values = values_of_latest(latest)

    assert latest_of(Row("latest", "e", values)) == latest
    assert max(len(value) for value in values.values() if isinstance(value, str)) < TEXT_COLUMN
    assert (len(latest.batches), len(latest.failures) > 5, len(latest.tags) > 25) == (MOST, True, True)
    assert latest_of(None) == Latest()
