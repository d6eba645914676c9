"""What `jobq doctor` makes of what it has found."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from jobq.doctor.check import Check, Checkup, Doubt, exit_code_of
from jobq.doctor.pulse import Pulse, judge_clock, judge_latency
from jobq.errors import JobqError, NotAllowed, Unreachable
from jobq.model.roles import Who, assignment

pytest.importorskip("azure.core")

from jobq.adapters.azure_login import who_of


def pulse(*, ahead: float | None = 0, latency: float = 0.02) -> Pulse:
    off = None if ahead is None else timedelta(seconds=ahead)
    return Pulse("lab.queue.core.windows.net", timedelta(seconds=latency), off)


def token(**claims: str) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def test_a_clock_that_is_right_to_a_few_seconds_is_fine() -> None:
    assert judge_clock(pulse(ahead=-2)) == "within 2 s of lab.queue.core.windows.net"


@pytest.mark.parametrize(("ahead", "side"), [(45, "45 s ahead of"), (-45, "45 s behind")])
def test_a_clock_that_is_off_is_doubtful(ahead: float, side: str) -> None:
    with pytest.raises(Doubt, match=f"this machine's clock is {side} that of lab.*timedatectl"):
        judge_clock(pulse(ahead=ahead))


def test_a_clock_with_which_no_login_works_fails() -> None:
    with pytest.raises(JobqError, match=r"301 s behind that of lab.*logins are refused"):
        judge_clock(pulse(ahead=-301))


def test_a_service_that_tells_no_time_is_doubtful() -> None:
    with pytest.raises(Doubt, match="told no time"):
        judge_clock(pulse(ahead=None))


def test_a_service_that_is_far_away_is_doubtful() -> None:
    assert judge_latency(pulse(latency=0.5)) == "500 ms to lab.queue.core.windows.net"
    with pytest.raises(Doubt, match="600 ms"):
        judge_latency(pulse(latency=0.6))


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"upn": "ada@lab", "oid": "1", "tid": "2", "scp": "x"}, Who("ada@lab", "1", "User", "2")),
        ({"unique_name": "ada@lab", "oid": "1", "scp": "x"}, Who("ada@lab", "1", "User")),
        ({"appid": "app", "oid": "1"}, Who("app", "1", "ServicePrincipal")),
        (
            {"xms_mirid": "/subscriptions/s/a/workers", "appid": "app", "oid": "1"},
            Who("workers", "1", "ServicePrincipal"),
        ),
    ],
    ids=["user", "guest", "application", "managed identity"],
)
def test_a_token_tells_whose_it_is(claims: dict[str, str], who: Who) -> None:
    assert who_of(token(**claims)) == who


@pytest.mark.parametrize("text", ["", "t", "a.b.c", "a.W10.c"])
def test_a_token_that_cannot_be_read_is_nobodys(text: str) -> None:
    who = who_of(text)
    assert (who.name, who.object_id) == ("an identity that tells no name", "")
    assert who.in_command(assignment("Reader", "x")) == assignment("Reader", "x")


@pytest.mark.parametrize(
    ("codes", "expected"), [([], 0), ([1], 1), ([3], 1), ([2, 9], 9), ([9, 4, 1], 4)], ids=lambda value: str(value)
)
def test_the_exit_code_is_that_of_the_worst_failure(codes: list[int], expected: int) -> None:
    checks = [Check("fine", "ok", ""), Check("odd", "warning", "")]
    assert exit_code_of(checks + [Check("bad", "failed", "", exit_code=code) for code in codes]) == expected


async def test_a_check_ends_as_it_found_things() -> None:
    # given
    checkup = Checkup()

    def finding(error: Exception | None):  # type: ignore[no-untyped-def]  # a check
        async def examine() -> str:
            if error:
                raise error
            return "all is well"

        return examine

    # when
    went_on = [
        await checkup.look("ok", finding(None)),
        await checkup.look("doubt", finding(Doubt("hm"))),
        await checkup.look("refused", finding(NotAllowed("no role: assign it", fix="assign it"))),
        await checkup.look("silent", finding(Unreachable("nobody answers"))),
    ]
    # then
    assert went_on == [True, True, False, False]
    assert [(check.state, check.detail, check.fix, check.exit_code) for check in checkup.checks] == [
        ("ok", "all is well", "", 0),
        ("warning", "hm", "", 0),
        ("failed", "no role: assign it", "assign it", 4),
        ("failed", "nobody answers", "", 9),
    ]
