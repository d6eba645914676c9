"""What the metadata endpoint announces, read over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobq.errors import Unreachable
from jobq.worker.preemption import AZURE_CHASSIS, is_on_azure
from jobq.worker.scheduled_events import Notice, ScheduledEvents
from tests.worker.metadata_endpoint import MetadataEndpoint, metadata_endpoint

AT = "Sat, 19 Sep 2026 18:29:47 GMT"


@pytest.fixture
def endpoint() -> Iterator[MetadataEndpoint]:
    with metadata_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def events(endpoint: MetadataEndpoint) -> Iterator[ScheduledEvents]:
    events = ScheduledEvents(endpoint.url)
    yield events
    events.close()


def test_announced_end_is_a_notice_until_it_is_withdrawn(endpoint: MetadataEndpoint, events: ScheduledEvents) -> None:
    assert events.notices() == []

    endpoint.announce("Preempt", at=AT)
    assert events.notices() == [Notice("event-1", "Preempt", datetime(2026, 9, 19, 18, 29, 47, tzinfo=UTC))]

    endpoint.withdraw()
    assert events.notices() == []


def test_end_that_has_begun_has_no_time_any_more(endpoint: MetadataEndpoint, events: ScheduledEvents) -> None:
    endpoint.announce("Terminate", status="Started", at=AT)
    endpoint.announce("Redeploy", at="")

    assert [(notice.kind, notice.not_before) for notice in events.notices()] == [
        ("Terminate", None),
        ("Redeploy", None),
    ]


def test_what_ends_no_machine_or_another_one_is_no_notice(endpoint: MetadataEndpoint, events: ScheduledEvents) -> None:
    endpoint.announce("Freeze", at=AT)
    endpoint.announce("Preempt", machine="gpu_8", at=AT)

    assert events.notices() == []


@pytest.mark.parametrize("machine", ["GPU_7", ""])
def test_machine_is_known_in_any_case_and_an_event_without_one_is_its(
    endpoint: MetadataEndpoint, events: ScheduledEvents, machine: str
) -> None:
    endpoint.announce("Reboot", machine=machine, at=AT)

    assert [notice.kind for notice in events.notices()] == ["Reboot"]


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_endpoint_in_trouble_is_unreachable_and_no_news(
    endpoint: MetadataEndpoint, events: ScheduledEvents, status: int
) -> None:
    endpoint.fails = status

    with pytest.raises(Unreachable, match="did not answer for scheduled events"):
        events.notices()


def test_answer_that_is_no_list_of_events_is_unreachable(endpoint: MetadataEndpoint, events: ScheduledEvents) -> None:
    endpoint.events = [{"EventId": "x"}]

    with pytest.raises(Unreachable, match="no scheduled events"):
        events.notices()


def test_no_endpoint_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        ScheduledEvents("http://127.0.0.1:1").notices()


def test_azure_machine_is_known_by_its_chassis(tmp_path: Path) -> None:
    assert not is_on_azure(tmp_path)
    (tmp_path / "chassis_asset_tag").write_text(f"{AZURE_CHASSIS}\n")
    assert is_on_azure(tmp_path)
