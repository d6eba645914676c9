"""Azure Scheduled Events: what a machine is told of its own end, by the instance metadata endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from jobq.errors import Unreachable

ENDPOINT = "http://169.254.169.254"
"""Answers on every Azure machine, and only there; the address cannot be routed."""
ENDING = frozenset({"Preempt", "Terminate", "Reboot", "Redeploy"})
"""Kinds of events that end what runs on the machine. A `Freeze` of some seconds does not."""
SECONDS = 5.0
"""For an answer. The first question turns the service on, which takes it up to two minutes; it answers meanwhile."""
EVENTS_VERSION, NAME_VERSION = "2020-07-01", "2021-02-01"


@dataclass(frozen=True, slots=True)
class Notice:
    """The end of this machine, announced."""

    id: str
    kind: str
    """`Preempt`: of a Spot machine, half a minute ahead. `Terminate`, `Reboot`, `Redeploy`: some minutes ahead."""
    not_before: datetime | None
    """None: it has begun."""


@dataclass(slots=True)
class ScheduledEvents:
    """One caller at a time."""

    endpoint: str = ENDPOINT
    _machine: str | None = None
    _session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self._session.trust_env = False  # a proxy would answer for another machine
        self._session.headers["Metadata"] = "true"

    def notices(self) -> list[Notice]:
        """What is announced for this machine; nothing any more of what was withdrawn or is over.

        Machines of one scale set are told of one another's events. Waits for the answer. Raises Unreachable.
        """
        if self._machine is None:
            self._machine = self._get("instance/compute/name", **{"api-version": NAME_VERSION, "format": "text"}).text
        answer = self._get("scheduledevents", **{"api-version": EVENTS_VERSION})
        try:
            events = answer.json()["Events"]
            return [_notice(event) for event in events if self._concerns(event)]
        except (ValueError, KeyError, TypeError) as error:
            raise Unreachable(f"{self.endpoint} answered with what are no scheduled events: {error}") from error

    def close(self) -> None:
        self._session.close()

    def _concerns(self, event: dict[str, Any]) -> bool:
        machines = [str(name).lower() for name in event.get("Resources", [])]
        return event["EventType"] in ENDING and (not machines or str(self._machine).strip().lower() in machines)

    def _get(self, path: str, **query: str) -> requests.Response:
        try:
            answer = self._session.get(f"{self.endpoint}/metadata/{path}", params=query, timeout=SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise Unreachable(
                f"{self.endpoint} did not answer for scheduled events ({type(error).__name__})"
            ) from error
        return answer


def _notice(event: dict[str, Any]) -> Notice:
    when = event.get("NotBefore") or ""
    has_begun = event.get("EventStatus") == "Started" or not when
    moment = None if has_begun else parsedate_to_datetime(when)
    return Notice(event["EventId"], event["EventType"], moment.astimezone(UTC) if moment else None)
