"""Where a control plane finds its realms."""

from __future__ import annotations

import pytest

from jobq.errors import BadInput
from jobq_service.settings import ServiceSettings, read_service_settings


def settings(**environ: str) -> ServiceSettings:
    return read_service_settings({"HOME": "/nowhere", **environ})


@pytest.mark.parametrize(
    ("environ", "place", "tables"),
    [
        ({"JOBQ_STORAGE": "account"}, "account", ""),
        ({"JOBQ_STORAGE": "account", "JOBQ_SERVICEBUS": "mybus"}, "mybus", "account"),
        ({"JOBQ_TABLES": "rows", "JOBQ_STORAGE": "account", "JOBQ_SERVICEBUS": "mybus"}, "mybus", "rows"),
        ({"JOBQ": "sb://mybus/exp7", "JOBQ_STORAGE": "account"}, "mybus", ""),
        ({"JOBQ": "other/exp7", "JOBQ_STORAGE": "account", "JOBQ_SERVICEBUS": "mybus"}, "other", ""),
    ],
)
def test_the_realms_are_where_the_environment_says(environ: dict[str, str], place: str, tables: str) -> None:
    address = settings(**environ).address()
    assert (address.place, address.tables) == (place, tables)


def test_an_environment_that_names_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="no queue is given"):
        settings().address()


def test_no_connection_string_is_shown() -> None:
    hidden = {"JOBQ_CONNECTION_STRING": "hidden1", "JOBQ_SERVICEBUS_CONNECTION_STRING": "hidden2"}
    assert "hidden" not in repr(settings(**hidden, JOBQ_SERVE_KEYS="hidden3"))
