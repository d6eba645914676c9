"""Token buckets, with a clock that the test moves; and who is one caller."""

from __future__ import annotations

from typing import Any

import pytest

from jobq_service.rate_limit import BURST_SECONDS, MAX_CALLERS, RateLimit, caller_of


class Clock:
    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> RateLimit:
    """2 a second, so a bucket of 20."""
    return RateLimit(2, now=clock)


def taken(limit: RateLimit, caller: str = "a") -> int:
    """How many of 100 requests at once pass."""
    return sum(limit.wait_for(caller) == 0 for _ in range(100))


def test_quiet_caller_may_ask_much_at_once_and_then_waits_for_the_next_token(limit: RateLimit) -> None:
    assert taken(limit) == 2 * BURST_SECONDS
    assert limit.wait_for("a") == 0.5


def test_bucket_fills_at_the_rate_and_no_further(limit: RateLimit, clock: Clock) -> None:
    taken(limit)

    counts = []
    for seconds in (0.5, 3, 3600):
        clock.seconds += seconds
        counts.append(taken(limit))

    assert counts == [1, 6, 2 * BURST_SECONDS]


def test_refused_requests_take_nothing(limit: RateLimit, clock: Clock) -> None:
    for _ in range(10):
        taken(limit)

    clock.seconds += 0.5

    assert limit.wait_for("a") == 0


def test_callers_have_a_bucket_each(limit: RateLimit) -> None:
    assert (taken(limit, "a"), taken(limit, "b")) == (20, 20)


def test_limit_of_zero_is_none(clock: Clock) -> None:
    assert taken(RateLimit(0, now=clock)) == 100


def test_callers_without_end_do_not_fill_the_memory_nor_free_who_still_asks(limit: RateLimit) -> None:
    for number in range(3 * MAX_CALLERS):
        limit.wait_for(f"caller {number}")
        limit.wait_for("loud")

    assert len(limit._full_at) == MAX_CALLERS
    assert taken(limit, "loud") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("/api/status", "key-a", "10.0.0.1"), ("/api/enqueue/demo/jobs", "key-a", "10.0.0.2")),
        (("/api/status", "", "10.0.0.1"), ("/api/status", "", "10.0.0.1")),
        (("/dashboard/", "made-up-1", "10.0.0.1"), ("/dashboard/", "made-up-2", "10.0.0.1")),
        (("/api/status", "", "2001:db8:0:7::1"), ("/api/status", "", "2001:db8:0:7:ffff::2%eth0")),
    ],
    ids=["key", "address", "key that nobody checks", "network"],
)
def test_one_caller_is_known_again(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert caller_of(scope(*one)) == caller_of(scope(*other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("/api/status", "key-a", "10.0.0.1"), ("/api/status", "key-b", "10.0.0.1")),
        (("/api/status", "", "10.0.0.1"), ("/api/status", "", "10.0.0.2")),
        (("/api/status", "", "2001:db8:0:7::1"), ("/api/status", "", "2001:db8:0:8::1")),
    ],
)
def test_two_callers_are_told_apart(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert caller_of(scope(*one)) != caller_of(scope(*other))


def test_key_itself_is_not_kept() -> None:
    assert "sesame" not in caller_of(scope("/api/status", "sesame", "10.0.0.1"))


def test_who_connects_says_not_who_it_is() -> None:
    forged = {"x-forwarded-for": "10.9.9.9"}

    assert caller_of(scope("/dashboard/", "", "10.0.0.1", **forged)) == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "caller"),
    [
        ("10.0.0.1:5678", "10.0.0.1"),
        ("10.9.9.9, 10.8.8.8:1, 10.0.0.1:5678", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:db8:0:7::1]:5678", "2001:db8:0:7::/64"),
        ("2001:db8:0:7::1", "2001:db8:0:7::/64"),
        ("", ""),
        ("10.0.0.1, nonsense", ""),
    ],
)
def test_on_functions_the_address_is_what_the_front_end_appended(forwarded: str, caller: str) -> None:
    asked = scope("/dashboard/", "", "", **{"x-forwarded-for": forwarded})

    assert caller_of({**asked, "azure_functions.invocation_id": "1"}) == caller
    assert caller_of(asked) == ""


def scope(path: str, key: str, address: str, **headers: str) -> dict[str, Any]:
    named = {**headers, **({"x-functions-key": key} if key else {})}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return {"type": "http", "path": path, "headers": raw, "client": (address, 5) if address else None}
