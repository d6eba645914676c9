"""How far away a service is, and how far its clock is from this machine's. No login is shown to it."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from jobq.doctor.check import Checkup, Doubt
from jobq.errors import JobqError, Unreachable
from jobq.http_calls import cause_of

SLOW = timedelta(milliseconds=500)
DOUBTFUL_SKEW = timedelta(seconds=30)
REFUSED_SKEW = timedelta(minutes=5)
"""Tokens are no good on a machine that is so far off."""

_BEATS = 3
_TIMEOUT = (10, 50)
"""Seconds to connect, and to answer: a control plane that nobody has asked for long is started first."""
_HALF_A_SECOND = timedelta(seconds=0.5)


@dataclass(frozen=True, slots=True)
class Pulse:
    host: str
    latency: timedelta
    """Of an answer on a connection that is open."""
    ahead: timedelta | None
    """This machine's clock before the service's, to half a second; None where the service tells no time."""


async def examine_pulse(url: str, checkup: Checkup) -> bool:
    """Whether the service answers."""
    taken: list[Pulse] = []

    async def latency() -> str:
        taken.append(await asyncio.to_thread(take_pulse, url))
        return judge_latency(taken[0])

    async def clock() -> str:
        return judge_clock(taken[0])

    answers = await checkup.look("latency", latency)
    if answers:
        await checkup.look("clock", clock)
    return answers


def take_pulse(url: str) -> Pulse:
    """Any answer will do, a refusal as well. Raises Unreachable, which never quotes the URL."""
    import requests

    host = urlsplit(url).netloc
    times: list[float] = []
    ahead = None
    try:
        with requests.Session() as session:
            session.head(url, timeout=_TIMEOUT, allow_redirects=False)
            for _ in range(_BEATS):
                start, began = time.monotonic(), datetime.now(UTC)
                answer = session.head(url, timeout=_TIMEOUT, allow_redirects=False)
                times.append(time.monotonic() - start)
                ahead = _ahead(answer.headers.get("Date", ""), began + (datetime.now(UTC) - began) / 2)
    except requests.RequestException as error:
        raise Unreachable(
            f"{host} does not answer ({cause_of(error)}); is its name right, and does this network let it through?"
        ) from error
    return Pulse(host, timedelta(seconds=statistics.median(times)), ahead)


def judge_latency(pulse: Pulse) -> str:
    """Raises Doubt."""
    found = f"{pulse.latency / timedelta(milliseconds=1):.0f} ms to {pulse.host}"
    if pulse.latency > SLOW:
        raise Doubt(f"{found}: each step of a job takes several answers; run workers in the region of the account")
    return found


def judge_clock(pulse: Pulse) -> str:
    """Raises Doubt, and JobqError for a clock with which no login works."""
    if pulse.ahead is None:
        raise Doubt(f"{pulse.host} told no time to compare this machine's clock with")
    off, side = abs(pulse.ahead), "ahead of" if pulse.ahead > timedelta(0) else "behind"
    if off <= DOUBTFUL_SKEW:
        return f"within {max(1, round(off.total_seconds()))} s of {pulse.host}"
    found = f"this machine's clock is {off.total_seconds():.0f} s {side} that of {pulse.host}"
    mend = "have the machine set it by NTP (`timedatectl set-ntp true`)"
    if off > REFUSED_SKEW:
        raise JobqError(f"{found}: logins are refused; {mend}")
    raise Doubt(f"{found}; {mend}")


def _ahead(date: str, now: datetime) -> timedelta | None:
    try:
        told = parsedate_to_datetime(date)
    except ValueError:
        return None
    return now - (told if told.tzinfo else told.replace(tzinfo=UTC)) - _HALF_A_SECOND  # it is told in whole seconds
